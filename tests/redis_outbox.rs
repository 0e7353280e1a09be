//! What a window sends while its server is away: kept over restarts, sent once, ended by its own rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{sync::Arc, time::Duration};

use temp_messenger_core::{
    api::{Api, Subscribe, Subscription},
    error::Code,
    event::{Event, Link, Waiting},
    message::MessageId,
    room::{PutRoom, RoomName},
    session::Session,
    settings::{Connect, SettingsFile, Tls},
    store::Access,
};
use temp_messenger_tests::{
    proxy::Proxy,
    redis::Server,
    team::{Client, eventually, store, text},
};
use tempfile::TempDir;

/// A window's session in this folder, on the server at this address.
fn session(home: &TempDir, url: &str) -> Session {
    let settings = SettingsFile::load_from(&home.path().join("settings.json")).unwrap();
    Session::new(settings, url.parse().unwrap(), Access::default()).with_outbox(home.path().to_path_buf())
}

/// The session's operations, and its events once it is connected or known to be away.
async fn follow(session: &Session) -> (Arc<dyn Api>, Subscription) {
    let api = session.api().await.unwrap();
    let subscription = api.events(Subscribe { rooms: vec![RoomName::lobby()], expiry: false }).await.unwrap();
    (api, subscription)
}

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(Duration::from_secs(30), subscription.events.recv()).await.unwrap().unwrap()
}

/// The next thing that is told of what waits.
async fn waiting(subscription: &mut Subscription) -> Waiting {
    loop {
        if let Event::Waiting { message } = next(subscription).await {
            return message;
        }
    }
}

async fn link(subscription: &mut Subscription, wanted: impl Fn(&Link) -> bool) {
    while !matches!(next(subscription).await, Event::Link { link } if wanted(&link)) {}
}

fn is_up(link: &Link) -> bool {
    matches!(link, Link::Connected { .. })
}

/// Waits until so many wait to be sent.
async fn waits(session: &Session, wanted: impl Fn(usize) -> bool) {
    for _ in 0..6_000 {
        if wanted(session.status().await.waiting) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {} wait", session.status().await.waiting);
}

/// Sends without waiting for what comes of it.
fn send(api: &Arc<dyn Api>, words: &str, lifetime: &str) -> MessageId {
    let (api, request) = (api.clone(), text(words, lifetime));
    let id = request.id.unwrap();
    tokio::spawn(async move { api.save_message(request).await });
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_survives_a_restart_and_is_sent_once_in_order() {
    let (mut server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let first = session(&home, &server.url());
    let (api, mut events) = follow(&first).await;
    link(&mut events, is_up).await;
    server.kill();
    link(&mut events, |link| matches!(link, Link::Offline { .. })).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(send(&api, &n.to_string(), "1h"));
        waits(&first, |waiting| waiting > n).await;
    }
    api.delete_message(ids[2]).await.unwrap();
    assert_eq!(first.status().await.waiting, 4);
    drop((api, events));
    first.close().await;

    let second = session(&home, &server.url());
    let (api, mut events) = follow(&second).await;
    let mut shown = Vec::new();
    for _ in 0..4 {
        let waiting = waiting(&mut events).await;
        assert_eq!(waiting.failure, None);
        shown.push(waiting.id);
    }
    ids.remove(2);
    assert_eq!(shown, ids);
    server.launch();
    api.konnichiwa().await.unwrap();
    eventually("all are sent", || server.number(&["ZCARD", "{tm}:xp"]) == 4).await;
    let ana = Client::join(store(&server.url(), Access::default()).await, "Ana").await;
    ana.until("all are there", |shown| shown.messages.len() == 4 && shown.twice == 0).await;
    assert_eq!(ana.ids(), ids);
    assert_eq!(ana.texts(), ["0", "1", "3", "4"]);
    waits(&second, |waiting| waiting == 0).await;
    drop((api, events));
    second.close().await;
    let third = session(&home, &server.url());
    let (_api, mut events) = follow(&third).await;
    loop {
        match next(&mut events).await {
            Event::Link { link } if is_up(&link) => break,
            Event::Waiting { message } => panic!("{message:?} is still there"),
            _ => {}
        }
    }
    assert_eq!(server.number(&["ZCARD", "{tm}:xp"]), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_its_answer_is_on_the_way_is_deleted_on_the_server_too() {
    let (server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let proxy = Proxy::before(server.port).await;
    let window = session(&home, &proxy.url());
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    // The first goes through, so that all keys and scripts are there.
    send(&api, "before", "1h");
    eventually("it is there", || server.number(&["ZCARD", "{tm}:xp"]) == 1).await;
    proxy.lose_answer_to(b"swordfish");
    proxy.refuse_after_loss();
    let id = send(&api, "swordfish", "1h");
    eventually("it has arrived, and nobody here knows", || server.number(&["ZCARD", "{tm}:xp"]) == 2).await;
    api.delete_message(id).await.unwrap();
    assert_eq!(window.status().await.waiting, 0, "here it is gone at once");
    proxy.refuse(false);
    api.konnichiwa().await.ok();
    eventually("there too", || server.number(&["ZCARD", "{tm}:xp"]) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_before_a_restart_stays_in_its_place() {
    let (server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let proxy = Proxy::before(server.port).await;
    let window = session(&home, &proxy.url());
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    // Its answer is lost and nobody is let in: it was tried, and its note is newer than the others'.
    proxy.lose_answer_to(b"the first");
    proxy.refuse_after_loss();
    let mut ids = vec![send(&api, "the first", "1h")];
    eventually("its answer is lost", || proxy.lost() == 1).await;
    for n in 1..3 {
        ids.push(send(&api, &n.to_string(), "1h"));
        waits(&window, |waiting| waiting > n).await;
    }
    drop((api, events));
    window.close().await;
    let window = session(&home, &proxy.url());
    let (api, mut events) = follow(&window).await;
    let mut shown = Vec::new();
    for _ in 0..3 {
        shown.push(waiting(&mut events).await.id);
    }
    assert_eq!(shown, ids);
    proxy.refuse(false);
    api.konnichiwa().await.ok();
    eventually("all are there once", || server.number(&["ZCARD", "{tm}:xp"]) == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_outbox_is_moved_aside_and_a_whole_one_left() {
    let (server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let window = session(&home, &server.url());
    let (api, events) = follow(&window).await;
    api.save_message(text("x", "1h")).await.unwrap();
    drop((api, events));
    window.close().await;
    window.start_empty().await.unwrap();
    assert!(!home.path().join("window/db.damaged-1").exists(), "it is whole");
    std::fs::write(home.path().join("window/db/conf"), "garbage").unwrap();
    assert_eq!(window.api().await.unwrap_err().code, Code::Corrupt);
    window.start_empty().await.unwrap();
    window.api().await.unwrap();
    assert!(home.path().join("window/db.damaged-1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_too_long_is_given_up_and_told() {
    let (mut server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let window = session(&home, &server.url());
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    server.kill();
    link(&mut events, |link| matches!(link, Link::Offline { .. })).await;
    let id = send(&api, "too late", "1s");
    while !matches!(next(&mut events).await, Event::Unsent { id: told } if told == id) {}
    waits(&window, |waiting| waiting == 0).await;
    // Also what ends while no window is open.
    let other = send(&api, "later still", "5s");
    waits(&window, |waiting| waiting > 0).await;
    drop((api, events));
    window.close().await;
    // Its time itself is what passes.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let window = session(&home, &server.url());
    let (api, mut events) = follow(&window).await;
    while !matches!(next(&mut events).await, Event::Unsent { id } if id == other) {}
    server.launch();
    api.konnichiwa().await.unwrap();
    link(&mut events, is_up).await;
    assert_eq!(server.number(&["EXISTS", "{tm}:xp"]), 0, "nothing of it is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_stays_with_its_reason_and_can_be_tried_again() {
    let (server, home) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let window = session(&home, &server.url());
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    let short =
        PutRoom { lifetime: "1m".parse().ok(), longest: "1m".parse().ok(), ..PutRoom::ensure(RoomName::lobby()) };
    api.put_room(short).await.unwrap();
    let request = text("for too long", "1h");
    assert_eq!(api.save_message(request.clone()).await.unwrap_err().code, Code::OutOfRange);
    assert_eq!(waiting(&mut events).await.failure.unwrap().code, Code::OutOfRange);
    assert_eq!(window.status().await.waiting, 0, "it is not tried by itself");
    drop((api, events));
    window.close().await;
    // It is still there, and fails no more once the room allows it.
    let window = session(&home, &server.url());
    let (api, mut events) = follow(&window).await;
    assert_eq!(waiting(&mut events).await.message, "for too long");
    let long = PutRoom { longest: "1d".parse().ok(), ..PutRoom::ensure(RoomName::lobby()) };
    api.put_room(long).await.unwrap();
    let stamp = api.save_message(request.clone()).await.unwrap();
    assert_eq!(Some(stamp.id), request.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_goes_over_to_another_server_while_something_waits() {
    let (mut first, second, home) = (Server::start(&[]), Server::start(&[]), tempfile::tempdir().unwrap());
    let window = session(&home, &first.url());
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    first.kill();
    link(&mut events, |link| matches!(link, Link::Offline { .. })).await;
    send(&api, "for the first", "1h");
    waits(&window, |waiting| waiting > 0).await;
    drop(api);
    let connect = |server: &Server| Connect { store: server.url(), password: None, tls: Tls::default() };
    window.connect(connect(&second), || drop(events)).await.unwrap();
    let (api, mut events) = follow(&window).await;
    link(&mut events, is_up).await;
    api.save_message(text("for the second", "1h")).await.unwrap();
    assert_eq!(second.number(&["ZCARD", "{tm}:xp"]), 1);
    drop(api);
    // Back again, it is sent where it was meant to go.
    first.launch();
    window.connect(connect(&first), || drop(events)).await.unwrap();
    let (_api, _events) = follow(&window).await;
    eventually("it is sent", || first.number(&["ZCARD", "{tm}:xp"]) == 1).await;
    assert_eq!(second.number(&["ZCARD", "{tm}:xp"]), 1);
}
