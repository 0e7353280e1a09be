//! Windows on one server, end to end: two processes with their own folders, and a Redis that is killed and comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use fantoccini::key::Key;
use serde_json::json;
use temp_messenger_tests::{
    binary,
    home::Home,
    redis::{Server, free_port},
    window::{Display, Window},
};

/// A window that its person has pointed at a server by Settings.
async fn joined(home: &Home, display: &Display, name: &str, server: &Server) -> Window {
    let window = Window::open(home, display).await;
    let field = window.part("textbox", "Display name").await;
    field.clear().await.unwrap();
    field.send_keys(name).await.unwrap();
    window.press("button", "Connect to our Redis").await;
    fill(&window, &format!("redis://127.0.0.1:{}", server.port), "tempmsg", "swordfish").await;
    window.press("button", "Connect").await;
    window.until("Settings is closed", "return !document.querySelector('dialog')").await;
    window.says("127.0.0.1").await;
    window.says("Connected").await;
    window.says("open: the server can read this").await;
    window
}

async fn fill(window: &Window, address: &str, user: &str, password: &str) {
    for (name, text) in [("Server address", address), ("User", user), ("Password", password)] {
        let field = window.part("textbox", name).await;
        field.clear().await.unwrap();
        // The driver refuses to type nothing.
        if !text.is_empty() {
            field.send_keys(text).await.unwrap();
        }
    }
}

/// Chooses a lifetime in seconds for the next message.
async fn for_seconds(window: &Window, seconds: &str) {
    window.press("button", "Lifetime").await;
    window.press("menuitem", "Custom").await;
    let field = window.part("spinbutton", "How long").await;
    field.clear().await.unwrap();
    field.send_keys(seconds).await.unwrap();
    window.part("combobox", "Unit").await.select_by_label("seconds").await.unwrap();
    window.press("button", "Set").await;
}

#[tokio::test]
async fn two_windows_on_one_server_show_the_same() {
    let mut server = Server::restricted(&[]);
    let (home, other_home, display) = (Home::default(), Home::default(), Display::start());
    let ana = joined(&home, &display, "Ana", &server).await;
    let ben = joined(&other_home, &display, "Ben", &server).await;

    ana.send("The key is under the mat.").await;
    ana.message("The key is under the mat.").await;
    let id = ben.message("The key is under the mat.").await;
    let author = ben.run("return document.querySelector('article [data-part=author]').textContent", vec![]).await;
    assert_eq!(author, json!("Ana"));
    ben.send("Got it.").await;
    ana.message("Got it.").await;

    ana.press("button", "Message actions").await;
    ana.press("menuitem", "Delete now").await;
    ana.press("menuitem", "Delete for everybody?").await;
    ana.gone("under the mat").await;
    ben.gone("under the mat").await;
    assert!(!server.keys().iter().any(|key| key.contains(&id)));

    // Expiry: no window shows it a moment past its time.
    for window in [&ana, &ben] {
        let watch = "window.seen = []; const look = () => { const body = document.body.innerText; \
                     if (body.includes('short-lived')) window.seen.push(Date.now()); requestAnimationFrame(look) }; look()";
        window.run(watch, vec![]).await;
    }
    for_seconds(&ana, "4").await;
    ana.send("short-lived").await;
    ana.message("short-lived").await;
    ben.message("short-lived").await;
    for window in [&ana, &ben] {
        window.gone("short-lived").await;
        let shown = window.run("return window.seen.at(-1) - window.seen[0]", vec![]).await.as_f64().unwrap();
        assert!((2_000.0..4_500.0).contains(&shown), "shown for {shown} ms of 4,000");
    }

    // A room that one makes, the other can open.
    ana.press("button", "New room").await;
    ana.type_into("Room name", "night shift").await;
    ana.press("button", "Create room").await;
    ana.send("only here").await;
    ana.message("only here").await;
    ben.press("button", "night shift").await;
    ben.message("only here").await;
    for window in [&ana, &ben] {
        window.press("button", "lobby").await;
        window.message("Got it.").await;
    }

    // Seen once: by the one who presses first, for a little while.
    let mut once = std::process::Command::new(binary("tempmsg"));
    home.furnish(&mut once);
    let sent = once.args(["--room", "lobby", "send", "--once", "the code is 4471"]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    for window in [&ana, &ben] {
        window.says("To be seen once").await;
    }
    ben.press("button", "Reveal").await;
    ben.says("the code is 4471").await;
    ana.until("it is gone", "return !document.body.innerText.includes('To be seen once')").await;
    ben.press("button", "Close").await;
    ben.gone("4471").await;

    // The server is killed: both say so, and what is written waits. It comes back without its data.
    server.kill();
    ana.says("Offline").await;
    ben.says("Offline").await;
    ana.says("What you write waits here.").await;
    ana.send("written meanwhile").await;
    ana.says("1 waiting to be sent").await;
    server.launch();
    server.restrict();
    for window in [&ana, &ben] {
        window.try_now().await;
        window.says("The server forgot everything at").await;
        window.says("Connected").await;
        window.message("written meanwhile").await;
        assert_eq!(
            window.messages().await,
            ["written meanwhile"],
            "what the server forgot is gone, what waited came once"
        );
    }
    ana.close().await;
    ben.close().await;
}

#[tokio::test]
async fn what_waits_survives_a_restart_of_the_window() {
    let mut server = Server::restricted(&[]);
    let (home, display) = (Home::default(), Display::start());
    let window = joined(&home, &display, "Ana", &server).await;
    server.kill();
    window.says("Offline").await;
    for text in ["first", "second", "third"] {
        window.send(text).await;
    }
    window.says("3 waiting to be sent").await;
    // Deleted while it waits: ended for good.
    window.press_in("second", "Message actions").await;
    window.press("menuitem", "Delete now").await;
    window.gone("second").await;
    window.close().await;

    let window = Window::open(&home, &display).await;
    window.says("2 waiting to be sent").await;
    server.launch();
    server.restrict();
    window.try_now().await;
    window.says("Connected").await;
    let sent = "return [...document.querySelectorAll('article [data-part=state]')].filter(state => state.textContent === 'sent').length === 2";
    window.until("both are sent", sent).await;
    assert_eq!(window.messages().await, ["first", "third"]);
    assert_eq!(server.number(&["ZCARD", "{tm}:xp"]), 2);
    window.close().await;
}

#[tokio::test]
async fn a_server_is_tested_before_anything_changes() {
    let server = Server::restricted(&[]);
    let (home, display) = (Home::default(), Display::start());
    let window = Window::open(&home, &display).await;
    window.enter_the_lobby("Ana").await;
    window.send("stays on this computer").await;
    window.press("button", "Settings").await;
    fill(&window, &format!("redis://127.0.0.1:{}", server.port), "tempmsg", "wrong").await;
    window.press("button", "Test connection").await;
    window.says("The server refuses this user or password.").await;
    fill(&window, &format!("redis://127.0.0.1:{}", free_port()), "", "").await;
    window.press("button", "Connect").await;
    window.says("Nothing listens at 127.0.0.1").await;
    fill(&window, &format!("redis://127.0.0.1:{}", server.port), "admin", "admin").await;
    window.press("button", "Test connection").await;
    window.says("Konnichiwa! Redis 7").await;
    window.says("It keeps a slow log").await;
    window.says("slowlog-log-slower-than -1").await;
    window.type_into("Server address", &char::from(Key::Escape).to_string()).await;
    window.message("stays on this computer").await;

    // Over, and back.
    window.press("button", "Settings").await;
    fill(&window, &format!("redis://127.0.0.1:{}", server.port), "tempmsg", "swordfish").await;
    window.press("button", "Connect").await;
    window.says("open: the server can read this").await;
    window.gone("stays on this computer").await;
    window.until("Settings is closed", "return !document.querySelector('dialog')").await;
    window.type_into("Message", "half a thought").await;
    window.press("button", "Settings").await;
    window.press("button", "Use this computer").await;
    window.until("Settings is closed", "return !document.querySelector('dialog')").await;
    window.message("stays on this computer").await;
    let draft = window.run("return document.querySelector('textarea').value", vec![]).await;
    assert_eq!(draft, json!("half a thought"));
    window.close().await;

    // The password is in its own file alone, and leaves with its server.
    let secrets = home.files().into_iter().filter(|file| {
        std::fs::read(home.path().join(file)).unwrap_or_default().windows(9).any(|part| part == b"swordfish")
    });
    assert_eq!(secrets.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}
