//! The real `tempmsg` on a team's server: passwords, refusals, and a watch that outlives the server's restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use temp_messenger_tests::{
    binary,
    home::Home,
    process::Process,
    redis::{Server, free_port},
    terminal,
    tls::Files,
};

fn tempmsg(home: &Home, store: &str, words: &[&str]) -> Command {
    terminal::tempmsg(home, &[&["--store", store], words].concat())
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn team() -> (Server, Home, String, PathBuf) {
    let (server, home) = (Server::restricted(&[]), Home::default());
    let (url, password) = (format!("redis://tempmsg@127.0.0.1:{}", server.port), home.path().join("password"));
    fs::write(&password, "swordfish\n").unwrap();
    (server, home, url, password)
}

#[test]
fn what_one_sends_another_lists() {
    let (_server, home, url, password) = team();
    let password = password.to_str().unwrap();
    let sent = tempmsg(&home, &url, &["--password-file", password, "send", "The badge is in the top drawer."]).output();
    let id = said(sent.unwrap()).trim().to_owned();
    let other = Home::default();
    let listed = tempmsg(&other, &url, &["list", "--json"]).env("TEMP_MESSENGER_PASSWORD", "swordfish").output();
    let message: Value = serde_json::from_str(&said(listed.unwrap())).unwrap();
    assert_eq!((&message["id"], &message["mine"]), (&Value::from(id.clone()), &Value::from(false)));
    let got = tempmsg(&other, &url, &["get", &id[..8]]).env("TEMP_MESSENGER_PASSWORD", "swordfish").output();
    assert_eq!(said(got.unwrap()), "The badge is in the top drawer.");
    let konnichiwa = said(tempmsg(&home, &url, &["--password-file", password, "konnichiwa"]).output().unwrap());
    assert!(
        konnichiwa.starts_with("Konnichiwa! redis 7") || konnichiwa.starts_with("Konnichiwa! valkey"),
        "{konnichiwa}"
    );
    assert!(konnichiwa.contains("may not manage the server"), "{konnichiwa}");
    // Another space is another team.
    let apart = format!("{url}?space=ops");
    let (status, line) = refused(tempmsg(&home, &apart, &["--password-file", password, "list"]).output().unwrap());
    assert_eq!((status, line.contains("does not allow this user")), (5, true), "{line}");
}

#[test]
fn what_can_be_done_with_a_message_is_done_on_the_server() {
    let (server, home, url, password) = team();
    let ask = |words: &[&str]| {
        tempmsg(&home, &url, words).args(["--password-file", password.to_str().unwrap()]).output().unwrap()
    };
    let says = |words: &[&str]| said(ask(words)).trim_end().to_owned();
    let secret = says(&["send", "--once", "swordfish"]);
    assert_eq!(refused(ask(&["get", &secret])).0, 1);
    assert_eq!(says(&["take", &secret[..8]]), "swordfish");
    assert_eq!(refused(ask(&["take", &secret])), (3, "tempmsg: somebody else has seen it\n".to_owned()));
    let id = says(&["send", "--for", "1h", "x"]);
    says(&["lifetime", &id, "10m"]);
    let message: Value = serde_json::from_str(&says(&["get", &id, "--json"])).unwrap();
    assert!((500_000..=600_000).contains(&message["expires_in"].as_u64().unwrap()), "{message}");
    assert_eq!(says(&["delete", &id[..8]]), "");
    assert_eq!(refused(ask(&["delete", &id])).0, 3);
    says(&["room", "night shift", "--for", "10m", "--longest", "8h"]);
    assert!(says(&["rooms"]).contains("night shift"));
    assert_eq!(refused(ask(&["--room", "night shift", "send", "--for", "1d", "x"])).0, 2);
    // The settings keep a server only once it has answered, and its password with it.
    says(&["configure", "store", &url]);
    let kept = home.path().join("config/temp-messenger/password");
    assert_eq!(fs::read_to_string(kept).unwrap(), "swordfish");
    let mut plain = Command::new(binary("tempmsg"));
    home.furnish(&mut plain);
    assert_eq!(said(plain.args(["configure", "store"]).output().unwrap()), format!("{url}\n"));
    let mut list = Command::new(binary("tempmsg"));
    home.furnish(&mut list);
    said(list.arg("list").output().unwrap());
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    assert_eq!(refused(ask(&["configure", "store", &nowhere])).0, 4);
    assert_eq!(says(&["configure", "store"]), url);
    drop(server);
}

#[test]
fn refusals_have_words_and_a_status_of_their_own() {
    let (server, home, url, password) = team();
    let list = |store: &str| refused(tempmsg(&home, store, &["list"]).output().unwrap());
    let (status, line) = list(&url);
    assert_eq!((status, line.as_str()), (5, "tempmsg: the server refuses this user or password\n"));
    let (status, line) = list(&format!("redis://127.0.0.1:{}", free_port()));
    assert!(status == 4 && line.contains("nothing listens"), "{line}");
    let (status, line) = list(&url.replace("tempmsg@", "tempmsg:swordfish@"));
    assert!(status == 5 && line.contains("a password does not belong into an address") && !line.contains("swordfish"));
    assert_eq!(list("redis://").0, 2);
    let bad = tempmsg(&home, &url, &["--password-file", "/nowhere", "list"]).output().unwrap();
    assert!(refused(bad).1.contains("/nowhere"));
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = tempmsg(&home, &url, &["--password-file", password.to_str().unwrap(), "send", "x"]).output().unwrap();
    assert_eq!(refused(full), (1, "tempmsg: the server's memory is full\n".to_owned()));
    let written = home.files().into_iter().filter(|file| file != &PathBuf::from("password"));
    for file in written {
        let bytes = fs::read(home.path().join(&file)).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"swordfish"), "{} holds the password", file.display());
    }
}

#[test]
fn over_tls_with_an_authority_of_ones_own() {
    let (files, home) = (Files::new(), Home::default());
    let server = files.serve(&files.issue("server", "localhost", false), "no");
    let url = format!("rediss://localhost:{}", server.port);
    let (status, line) = refused(tempmsg(&home, &url, &["list"]).output().unwrap());
    assert!(status == 5 && line.contains("nobody that is trusted here issued"), "{line}");
    let authority = files.path("authority.pem");
    said(tempmsg(&home, &url, &["--authority", authority.to_str().unwrap(), "send", "over TLS"]).output().unwrap());
}

#[test]
fn a_watch_outlives_the_servers_restart_and_ends_when_it_is_refused() {
    let (mut server, home, url, password) = team();
    let password = password.to_str().unwrap();
    let mut command = tempmsg(&home, &url, &["--password-file", password, "--json", "watch"]);
    let mut watch = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut lines = BufReader::new(watch.child().stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let send = |words: &str| {
        said(tempmsg(&home, &url, &["--password-file", password, "send", words]).output().unwrap());
    };
    send("before");
    let before = next();
    assert_eq!((&before["event"], &before["message"]["message"]), (&"saved".into(), &"before".into()));
    server.kill();
    server.launch_restricted();
    send("after");
    let ended = next();
    assert_eq!((&ended["event"], &ended["id"]), (&"ended".into(), &before["message"]["id"]));
    assert_eq!(next()["message"]["message"], "after");
    server.ask(&["ACL", "DELUSER", "tempmsg"]);
    assert_eq!(watch.wait(std::time::Duration::from_secs(30)).unwrap().code(), Some(5));
    let mut line = String::new();
    watch.child().stderr.take().unwrap().read_to_string(&mut line).unwrap();
    assert!(line.contains("the server refuses this user or password"), "{line}");
}

#[test]
fn at_a_terminal_it_asks_for_the_password_and_does_not_show_it() {
    let (_server, home, url, _) = team();
    // `script` gives it a terminal of its own.
    let line = format!("{} --store {url} send 'asked first'", binary("tempmsg").display());
    let mut command = Command::new("script");
    home.furnish(&mut command);
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_remove("TEMP_MESSENGER_PASSWORD");
    let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut output = process.child().stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut buffer = [0; 256];
    while !shown.windows(12).any(|part| part == b"Password for") {
        let read = output.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&buffer[..read]);
    }
    let mut input = process.child().stdin.take().unwrap();
    input.write_all(b"swordfish\n").unwrap();
    output.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(!shown.contains("swordfish"), "{shown}");
    assert_eq!(process.wait(std::time::Duration::from_secs(20)).unwrap().code(), Some(0), "{shown}");
    assert_eq!(shown.trim_end().lines().last().unwrap().trim().len(), 32, "{shown}");
}
