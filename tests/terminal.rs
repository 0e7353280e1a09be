//! The real `tempmsg` on the embedded store: each command, its exit status, and what a hostile or broken world does to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    io::{BufRead, BufReader},
    process::{ChildStdout, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use temp_messenger_tests::{
    home::Home,
    process::Process,
    terminal::{fed, tempmsg},
};

const PATIENCE: Duration = Duration::from_secs(30);
const UNKNOWN: &str = "c8d0447b55aa4be2b9d04e77c1f20a93";

/// Standard output of a command that gets done.
fn says(home: &Home, words: &[&str]) -> String {
    let output = tempmsg(home, words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exit status and standard error of a command that is refused and says nothing on standard output.
fn refused(output: Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn refuses(home: &Home, words: &[&str]) -> (i32, String) {
    refused(tempmsg(home, words).output().unwrap())
}

fn send(home: &Home, words: &[&str]) -> String {
    let id = says(home, &[&["send"], words].concat());
    assert!(id.len() == 33 && id.ends_with('\n') && id.trim().bytes().all(|digit| digit.is_ascii_hexdigit()), "{id:?}");
    id.trim().to_owned()
}

/// A running `watch`, and its lines.
struct Watch(Process, BufReader<ChildStdout>);

impl Watch {
    fn start(home: &Home, words: &[&str]) -> Self {
        let mut process = Process::start(tempmsg(home, words).stdout(Stdio::piped()));
        let lines = BufReader::new(process.child().stdout.take().unwrap());
        Self(process, lines)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }

    fn event(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// As Ctrl+C does; answers with the exit status and the lines that were left.
    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        kill_process(Pid::from_child(self.0.child()), Signal::INT).unwrap();
        let status = self.0.wait(PATIENCE).expect("the watch ends").code();
        (status, self.1.lines().map(Result::unwrap).collect())
    }
}

#[test]
fn what_is_sent_is_there_in_the_next_process() {
    let home = Home::default();
    let first = send(&home, &["On my way, two minutes.", "--for", "10m"]);
    send(&home, &["second"]);
    let list = says(&home, &["list"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines[0], "  id        left      sent   from    message");
    assert!(lines[1].starts_with(&format!("  {}  ◑  ", &first[..8])), "{list}");
    assert!(lines[1].ends_with("  you     On my way, two minutes.") && lines[2].ends_with("you     second"), "{list}");
    assert_eq!(says(&home, &["get", &first]), "On my way, two minutes.");
    assert_eq!(says(&home, &["get", &first[..7]]), "On my way, two minutes.");
    let newest = says(&home, &["list", "--limit", "1"]);
    assert_eq!(newest.lines().last().unwrap(), "  1 older: tempmsg list --limit 2");
}

#[test]
fn rooms_and_stores_are_apart() {
    let home = Home::default();
    send(&home, &["in the lobby"]);
    send(&home, &["--room", "ops", "in ops"]);
    assert!(!says(&home, &["--room", "ops", "list"]).contains("lobby"));
    let by_variable = tempmsg(&home, &["list"]).env("TEMP_MESSENGER_ROOM", "ops").output().unwrap();
    assert!(String::from_utf8(by_variable.stdout).unwrap().contains("in ops"));
    let elsewhere = format!("sled:{}", home.path().join("elsewhere").display());
    assert_eq!(says(&home, &["--store", &elsewhere, "list"]), "");
    send(&home, &["--store", &elsewhere, "kept elsewhere"]);
    let by_variable = tempmsg(&home, &["list"]).env("TEMP_MESSENGER_STORE", &elsewhere).output().unwrap();
    assert!(String::from_utf8(by_variable.stdout).unwrap().contains("kept elsewhere"));
    send(&home, &["--store", "memory:", "gone with its process"]);
    assert_eq!(says(&home, &["--store", "memory:", "list"]), "");
}

#[test]
fn text_is_kept_byte_for_byte() {
    let home = Home::default();
    for text in ["  spaces  \n\n", "\0nul", "\u{202e}\u{1b}[31m\r\n\t", "日本 👩‍💻"] {
        let sent = fed(&home, &["send"], format!("{text}\n").as_bytes());
        let id = String::from_utf8(sent.stdout).unwrap();
        assert_eq!(says(&home, &["get", id.trim()]), text);
    }
}

#[test]
fn a_message_is_gone_when_its_time_is_over() {
    let home = Home::default();
    let id = send(&home, &["one second", "--for", "1s"]);
    let mut waited = Duration::ZERO;
    while says(&home, &["list"]).contains("one second") {
        let tick = Duration::from_millis(50);
        std::thread::sleep(tick);
        waited += tick;
        assert!(waited < PATIENCE, "it is still listed");
    }
    let gone = (3, "tempmsg: no such message: it has expired or never was\n".to_owned());
    assert_eq!(refuses(&home, &["get", &id]), gone);
    assert_eq!(refuses(&home, &["get", &id[..8]]), gone);
    assert_eq!(refuses(&home, &["get", UNKNOWN]), gone);
}

#[test]
fn bad_input_is_refused_with_its_status_and_nothing_is_stored() {
    let home = Home::default();
    let long = "x".repeat(40 * 1024);
    for (words, status) in [
        (&["send", " \t"] as &[_], 2),
        (&["send", ""], 2),
        (&["send", &long], 2),
        (&["send", "x", "--for", "0s"], 2),
        (&["send", "x", "--for", "31d"], 2),
        (&["send", "x", "--for", "soon"], 2),
        (&["send", "x", "--room", " "], 2),
        (&["get", "not an id"], 2),
        (&["get", "c8d0"], 3),
        (&["list", "--store", "carrier-pigeon:"], 1),
    ] {
        let (found, line) = refuses(&home, words);
        assert_eq!(found, status, "{line}");
        assert!(line.starts_with("tempmsg: ") && line.lines().count() == 1, "{line}");
        let (found, object) = refuses(&home, &[words, &["--json"]].concat());
        let object: Value = serde_json::from_str(&object).unwrap();
        assert!(found == status && object["code"].is_string() && object["message"].is_string(), "{object}");
    }
    for input in [long.as_bytes(), b"\n", b"", b"\xff\xfe"] {
        assert_eq!(refused(fed(&home, &["send"], input)).0, 2);
    }
    assert_eq!(says(&home, &["list"]), "");
}

#[test]
fn standard_input_without_an_end_is_refused() {
    let endless = std::fs::File::open("/dev/zero").unwrap();
    let mut command = tempmsg(&Home::default(), &["send"]);
    let mut process = Process::start(command.stdin(endless).stderr(Stdio::null()));
    assert_eq!(process.wait(PATIENCE).expect("it ends").code(), Some(2));
}

#[test]
fn a_wrong_command_names_the_nearest() {
    let home = Home::default();
    let (status, text) = refuses(&home, &["lsit"]);
    assert!(status == 2 && text.contains("'list'") && text.lines().count() == 1, "{text}");
    let (status, object) = refuses(&home, &["--json", "lsit"]);
    assert_eq!((status, &serde_json::from_str::<Value>(&object).unwrap()["code"]), (2, &"invalid".into()));
    assert_eq!(refuses(&home, &["list", "--limit", "0"]).0, 2);
    assert!(says(&home, &["--help"]).contains("konnichiwa"));
}

#[test]
fn a_folder_that_is_not_ours_is_left_as_it_is() {
    let home = Home::default();
    let folder = home.path().join("photos");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("cat.jpg"), "a cat").unwrap();
    let (status, line) = refuses(&home, &["--store", &format!("sled:{}", folder.display()), "send", "x"]);
    assert_eq!((status, line.lines().count()), (1, 1), "{line}");
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["cat.jpg"]);
}

#[test]
fn a_watch_tells_what_is_alive_and_what_ends() {
    let home = Home::default();
    let stays = send(&home, &["stays"]);
    let goes = send(&home, &["goes", "--for", "5s"]);
    let mut watch = Watch::start(&home, &["watch", "--json"]);
    for id in [&stays, &goes] {
        let event = watch.event();
        assert_eq!((&event["event"], event["message"]["id"].as_str()), (&"saved".into(), Some(id.as_str())));
    }
    // Here a lifetime passes.
    let event = watch.event();
    assert_eq!(
        (&event["event"], &event["why"], event["id"].as_str()),
        (&"ended".into(), &"expired".into(), Some(&*goes))
    );
    assert_eq!(watch.interrupt(), (Some(0), vec![]));
}

#[test]
fn while_a_watch_owns_the_store_others_are_told_so() {
    let home = Home::default();
    send(&home, &["first"]);
    let mut watch = Watch::start(&home, &["watch"]);
    assert!(watch.line().ends_with("you     first\n"));
    for words in [&["list"] as &[_], &["send", "x"], &["get", UNKNOWN], &["watch"], &["konnichiwa"]] {
        let (status, line) = refuses(&home, words);
        assert_eq!((status, line.lines().count()), (6, 1), "{words:?}: {line}");
    }
    let (_, object) = refuses(&home, &["list", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&object).unwrap()["code"], "in_use");
    assert_eq!(watch.interrupt(), (Some(0), vec![]));
    send(&home, &["second"]);
}

#[test]
fn a_watch_gives_up_the_store_when_its_reader_is_gone() {
    let home = Home::default();
    send(&home, &["first"]);
    let Watch(mut process, mut lines) = Watch::start(&home, &["watch"]);
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    assert_eq!(process.wait(PATIENCE).expect("it ends").code(), Some(0));
    send(&home, &["second"]);
}

#[test]
fn a_broken_pipe_ends_quietly() {
    let home = Home::default();
    // More than a pipe holds.
    for _ in 0..6 {
        assert!(fed(&home, &["send"], "x".repeat(32 * 1024).as_bytes()).status.success());
    }
    let mut child = tempmsg(&home, &["list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"" as &[u8]));
}

#[test]
fn a_hostile_text_is_shown_as_text() {
    let home = Home::default();
    let hostile =
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\rfake\u{202e}\n  c8d0447b  ●   6 d   10:31  Ana     a fake row";
    assert!(fed(&home, &["send"], hostile.as_bytes()).status.success());
    let list = says(&home, &["list"]);
    let mut watch = Watch::start(&home, &["watch"]);
    let watched = watch.line() + &watch.line();
    for shown in [list, watched] {
        assert!(shown.contains("U+001B]0;ownedU+0007U+001B[2JU+009B31mU+000DfakeU+202E"), "{shown:?}");
        assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("  c8d0447b")), "{shown:?}");
    }
}

#[test]
fn json_has_the_one_form() {
    let home = Home::default();
    let stamp: Value = serde_json::from_str(&says(&home, &["send", "hello", "--for", "10m", "--json"])).unwrap();
    let lifetime = stamp["deadline"].as_u64().unwrap() - stamp["accepted"].as_u64().unwrap();
    assert_eq!(lifetime, 600_000);
    let id = stamp["id"].as_str().unwrap();
    let listed: Value = serde_json::from_str(&says(&home, &["list", "--json"])).unwrap();
    let mut got: Value = serde_json::from_str(&says(&home, &["get", id, "--json"])).unwrap();
    assert!(got["expires_in"].as_u64().unwrap() <= listed["expires_in"].as_u64().unwrap());
    got["expires_in"] = listed["expires_in"].clone();
    assert_eq!(got, listed);
    assert!(got["room"] == "lobby" && got["author"] == "mei" && got["mine"] == true && got["once"] == false, "{got}");
    assert!(got["message"] == "hello" && got["seq"] == stamp["seq"]);
}

#[test]
fn konnichiwa_names_the_store() {
    let home = Home::default();
    let line = says(&home, &["konnichiwa"]);
    assert!(line.starts_with("Konnichiwa! sled 0.34.7, ") && line.contains(" ms, clock "), "{line}");
    let object: Value = serde_json::from_str(&says(&home, &["konnichiwa", "--json"])).unwrap();
    assert_eq!((&object["greeting"], &object["kind"]), (&"Konnichiwa!".into(), &"sled".into()));
}

#[test]
fn what_can_be_done_with_a_message_is_done_on_this_computer() {
    let home = Home::default();
    let secret = send(&home, &["--once", "swordfish"]);
    assert_eq!(refuses(&home, &["get", &secret]).0, 1);
    assert_eq!(says(&home, &["take", &secret[..8]]), "swordfish");
    assert_eq!(refuses(&home, &["take", &secret]), (3, "tempmsg: somebody else has seen it\n".to_owned()));
    let id = send(&home, &["--for", "1h", "x"]);
    says(&home, &["lifetime", &id, "10m"]);
    assert!(says(&home, &["list"]).contains("9 m"));
    assert_eq!(says(&home, &["delete", &id[..8]]), "");
    assert_eq!(refuses(&home, &["delete", &id]).0, 3);
    says(&home, &["room", "night shift", "--for", "10m", "--longest", "8h"]);
    assert!(says(&home, &["rooms"]).lines().any(|line| line == "  night shift  0      10 min   8 h"));
    says(&home, &["configure", "room", "night shift"]);
    send(&home, &["in there"]);
    assert!(says(&home, &["list"]).contains("in there") && says(&home, &["status"]).contains("room   night shift"));
    assert_eq!(refuses(&home, &["configure", "colour", "red"]).0, 2);
}
