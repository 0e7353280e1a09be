//! A team's server, and everything that goes wrong with one: each by a real fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use rustix::process::Signal;
use temp_messenger_core::{
    api::{Api, ClaimMessage, SetLifetime, Show, Subscribe},
    clock::SystemClock,
    error::{Code, Error, Result},
    event::Link,
    lifetime::Lifetime,
    message::{MessageId, SaveMessage, Stamp},
    messenger::Messenger,
    room::{PutRoom, RoomName},
    store::{Access, Change, LARGEST_PAGE, NewRecord, Store, redis::RedisStore},
};
use temp_messenger_tests::{
    proxy::Proxy,
    redis::{ACL, Server},
    team::{Client, Shown, access, eventually, settings, store, store_on, text},
};

/// A server under the minimal ACL, and somebody who looks at it directly.
async fn team() -> (Server, Client) {
    let server = Server::restricted(&[]);
    let client = Client::join(store(&as_user(&server.url()), access()).await, "Ana").await;
    (server, client)
}

/// Somebody whose wire can be cut.
async fn wired(server: &Server) -> (Proxy, Client) {
    let proxy = Proxy::before(server.port).await;
    let client = Client::join(store(&as_user(&proxy.url()), access()).await, "Ben").await;
    (proxy, client)
}

/// Tries again with the same id while nobody answers, as a face does.
async fn insist(messenger: &Messenger, request: SaveMessage) -> Stamp {
    loop {
        match messenger.save_message(request.clone()).await {
            Err(error) if error.code == Code::Unreachable => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer.unwrap(),
        }
    }
}

fn as_user(url: &str) -> String {
    url.replace("redis://", "redis://tempmsg@")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_held_back_undoes_nothing() {
    let (server, ana) = team().await;
    let mut old = Vec::new();
    for n in 0..80 {
        old.push(ana.messenger.save_message(text(&n.to_string(), "1h")).await.unwrap());
    }
    let (proxy, ben) = wired(&server).await;
    ben.until("the newest page", |shown| shown.messages.len() == 50).await;
    let pages = ben.look(|shown| shown.pages);
    let mut told = ben.store.changes();
    let read = server.calls("mget");
    proxy.hold_answers();
    let room = RoomName::lobby();
    ben.messenger.show(Show { subscription: ben.subscription, room, before: Some(old[30].seq) }).await.unwrap();
    eventually("the page is read and on its way", || server.calls("mget") > read).await;
    // The feed overtakes it.
    for gone in [old[5].id, old[60].id] {
        ana.messenger.delete_message(gone).await.unwrap();
        while !matches!(told.next().await, Some(Change::Ended { id, .. }) if id == gone) {}
    }
    let new = ana.messenger.save_message(text("new", "1h")).await.unwrap();
    proxy.let_go();
    let mut expected: Vec<_> =
        old.iter().map(|stamp| stamp.id).filter(|id| *id != old[5].id && *id != old[60].id).collect();
    expected.push(new.id);
    ben.until("the page", |shown| shown.pages > pages).await;
    eventually("the same as the server has", || ben.ids() == expected).await;
    assert_eq!(ben.look(|shown| (shown.twice, shown.resets)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_known_though_the_answer_was_lost() {
    let (server, ana) = team().await;
    let (proxy, ben) = wired(&server).await;
    let request = text("once only", "1h");
    proxy.lose_answer_to(&[b"$16\r\n", &request.id.unwrap().as_bytes()[..]].concat());
    let stamp = ben.messenger.save_message(request.clone()).await.unwrap();
    assert_eq!(proxy.lost(), 1);
    assert_eq!(stamp.seq, ana.messenger.get_message(stamp.id).await.unwrap().seq);
    ana.until("it is there once", |shown| shown.messages.len() == 1 && shown.twice == 0).await;

    // In what deletes it, the id is an argument of its own.
    proxy.lose_answer_to(&[b"$16\r\n", &stamp.id.as_bytes()[..]].concat());
    ben.messenger.delete_message(stamp.id).await.unwrap();
    assert_eq!(proxy.lost(), 2);
    ana.until("it is gone", |shown| shown.messages.is_empty()).await;
    assert_eq!(ben.messenger.save_message(request).await.unwrap_err().code, Code::Ended);

    let mut secret = text("swordfish", "1h");
    secret.once = true;
    let id = ana.messenger.save_message(secret).await.unwrap().id;
    let claim = ClaimMessage { id, nonce: uuid::Uuid::new_v4() };
    proxy.lose_answer_to(claim.nonce.as_bytes());
    assert_eq!(ben.messenger.claim_message(claim).await.unwrap(), "swordfish");
    assert_eq!(proxy.lost(), 3);
    let other = ClaimMessage { id, nonce: uuid::Uuid::new_v4() };
    assert_eq!(ana.messenger.claim_message(other).await.unwrap_err().code, Code::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_given_up_and_nothing_is_done_twice() {
    let (server, ana) = team().await;
    let (proxy, ben) = wired(&server).await;
    proxy.stall();
    let late = text("late", "1h");
    let stamp = insist(&ben.messenger, late).await;
    assert!(ana.look(|shown| shown.twice == 0));
    proxy.let_go();
    ana.until("it is there", |shown| shown.messages.contains_key(&stamp.seq)).await;
    ben.until("it is there too", |shown| shown.messages.contains_key(&stamp.seq)).await;
    assert_eq!(server.number(&["ZCARD", "{tm}:xp"]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_has_forgotten_everything() {
    let (mut server, ana) = team().await;
    ana.messenger.save_message(text("before", "1h")).await.unwrap();
    ana.until("it is there", |shown| shown.messages.len() == 1).await;
    server.kill();
    ana.until("the link is down", |shown| matches!(shown.link, Some(Link::Reconnecting { .. } | Link::Offline { .. })))
        .await;
    server.launch();
    // Until its user is there the server refuses everybody, and the store stops and asks.
    server.restrict();
    eventually("it is there again", || {
        let (store, handle) = (ana.store.clone(), tokio::runtime::Handle::current());
        tokio::task::block_in_place(|| handle.block_on(store.health(true))).is_ok()
    })
    .await;
    ana.until("it says so", |shown| shown.forgot == 1 && shown.messages.is_empty()).await;
    ana.messenger.save_message(text("after", "1h")).await.unwrap();
    ana.until("it goes on", |shown| shown.messages.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_server_is_noticed_without_a_broken_connection() {
    let (server, ana) = team().await;
    for n in 0..20 {
        ana.messenger.save_message(text(&n.to_string(), "1h")).await.unwrap();
    }
    ana.until("they are there", |shown| shown.messages.len() == 20).await;
    server.ask(&["FLUSHALL"]);
    let one = ana.messenger.save_message(text("after", "1h")).await.unwrap();
    ana.until("only what exists is shown", |shown| shown.messages.keys().eq([&one.seq]) && shown.forgot == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_costs_time_and_nothing_else() {
    let (mut server, ana) = team().await;
    for (stop, name) in [(1_500, "shorter than the time-outs"), (6_000, "longer than the time-outs")] {
        server.signal(Signal::STOP);
        let saving = tokio::spawn({
            let (messenger, request) = (ana.messenger.clone(), text(name, "1h"));
            async move { insist(&messenger, request).await }
        });
        tokio::time::sleep(Duration::from_millis(stop)).await;
        server.signal(Signal::CONT);
        let stamp = saving.await.unwrap();
        ana.until(name, |shown| shown.messages.contains_key(&stamp.seq) && shown.twice == 0).await;
    }
    assert_eq!(server.number(&["ZCARD", "{tm}:xp"]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_whole_and_goes_on_erasing() {
    let (server, ana) = team().await;
    let (short, long) = (
        ana.messenger.save_message(text("short", "1s")).await.unwrap(),
        ana.messenger.save_message(text("long", "1h")).await.unwrap(),
    );
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = text("refused", "1h");
    assert_eq!(ana.messenger.save_message(refused.clone()).await.unwrap_err().code, Code::Full);
    eventually("what is due is erased", || server.number(&["ZCARD", "{tm}:xp"]) == 1).await;
    let shorter = SetLifetime { id: long.id, lifetime: Lifetime::SHORTEST };
    ana.messenger.set_lifetime(shorter).await.unwrap();
    assert_eq!(ana.messenger.get_message(short.id).await.unwrap_err().code, Code::NotFound);
    let once = text("deleted", "1h");
    ana.messenger.delete_message(long.id).await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    ana.messenger.save_message(refused).await.unwrap();
    ana.messenger.save_message(once).await.unwrap();
    ana.until("both are there", |shown| shown.messages.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_scripts_are_sent_again() {
    let (server, ana) = team().await;
    for n in 0..10 {
        server.ask(&["SCRIPT", "FLUSH"]);
        ana.messenger.save_message(text(&n.to_string(), "1h")).await.unwrap();
    }
    ana.until("all are there", |shown| shown.messages.len() == 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_refused_and_not_called_offline() {
    let (server, ana) = team().await;
    server.ask(&["ACL", "SETUSER", "tempmsg", "resetpass", ">another"]);
    server.ask(&["CLIENT", "KILL", "USER", "tempmsg"]);
    ana.until("it is refused", |shown| matches!(shown.link, Some(Link::Refused { .. }))).await;
    assert_eq!(ana.messenger.save_message(text("x", "1h")).await.unwrap_err().code, Code::Refused);
    server.ask(&["ACL", "SETUSER", "tempmsg", "resetpass", ">swordfish"]);
    // Somebody asks.
    ana.messenger.konnichiwa().await.unwrap();
    ana.until("it is connected", |shown| matches!(shown.link, Some(Link::Connected { .. }))).await;
    ana.messenger.save_message(text("x", "1h")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_acl_leaves_nothing_half_done() {
    let (server, ana) = team().await;
    ana.messenger.save_message(text("before", "1h")).await.unwrap();
    let before = server.keys();
    server.ask(&["ACL", "SETUSER", "tempmsg", "-xadd"]);
    let refused = text("refused", "1h");
    assert_eq!(ana.messenger.save_message(refused.clone()).await.unwrap_err().code, Code::Refused);
    let without_lease = |keys: Vec<String>| keys.into_iter().filter(|key| key != "{tm}:janitor").collect::<Vec<_>>();
    assert_eq!(without_lease(server.keys()), without_lease(before));
    server.ask(&["ACL", "SETUSER", "tempmsg", "+xadd"]);
    ana.messenger.save_message(refused).await.unwrap();
    ana.until("both are there", |shown| shown.messages.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_minimal_acl_holds_no_command_too_many() {
    // Without any one of these something is refused: all of the store's work is done without it.
    for command in ACL.split_whitespace().filter_map(|word| word.strip_prefix('+')) {
        // Always allowed; for an address with a database; for rooms that nobody used in 30 days.
        if ["hello", "auth", "select", "hdel"].contains(&command) {
            continue;
        }
        let server = Server::restricted(&[]);
        server.ask(&["ACL", "SETUSER", "tempmsg", &format!("-{command}")]);
        assert!(work(&server).await.is_err(), "{command} is not needed");
    }
    let server = Server::restricted(&[]);
    work(&server).await.unwrap();
    let stats = server.commandstats();
    assert!(!stats.contains("cmdstat_keys:") && !stats.contains("cmdstat_scan:"), "{stats}");
}

/// Everything that a store does, once.
async fn work(server: &Server) -> Result<()> {
    let address = as_user(&server.url()).parse().unwrap();
    let store = RedisStore::start(address, access(), Arc::new(SystemClock))?;
    tokio::time::timeout(Duration::from_secs(3), store.connected()).await.unwrap_or(Ok(()))?;
    let mut changes = store.changes();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await?;
    let new = |once: Option<&[u8]>, lifetime: &str| NewRecord {
        id: MessageId::random(),
        room: RoomName::lobby().id(),
        lifetime: lifetime.parse().unwrap(),
        not_after: None,
        payload: b"text".to_vec(),
        once: once.map(<[u8]>::to_vec),
    };
    let (first, secret) = (new(None, "1h"), new(Some(b"secret"), "1h"));
    let stamp = store.save(first.clone()).await?;
    store.save(first.clone()).await?;
    store.save(secret.clone()).await?;
    store.get(first.id).await?;
    store.page(first.room, None, LARGEST_PAGE).await?;
    store.set_lifetime(first.id, stamp.deadline, Lifetime::SHORTEST, None).await?;
    store.claim(secret.id, [1; 16]).await?;
    let deleted = new(None, "1h");
    store.save(deleted.clone()).await?;
    store.delete(deleted.id).await?;
    store.rooms().await?;
    store.health(true).await?;
    let told = async { while !matches!(changes.next().await, Some(Change::Ended { id, .. }) if id == deleted.id) {} };
    let late = |_| Error::new(Code::Unreachable, "nothing is told");
    tokio::time::timeout(Duration::from_secs(3), told).await.map_err(late)?;
    // The shortened one is erased by the janitor; the claimed one's bytes would be in 30 s.
    for _ in 0..400 {
        if server.number(&["ZCARD", "{tm}:xp"]) == 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(Error::new(Code::Unreachable, "nothing is erased"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_everybody_is_away_is_never_shown() {
    let (server, ana) = team().await;
    let id = ana.messenger.save_message(text("swordfish", "1s")).await.unwrap().id;
    let kept = ana.messenger.save_message(text("stays", "1h")).await.unwrap().id;
    drop(ana);
    // The lifetime itself is what passes.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let watch = Client::join(store(&as_user(&server.url()), access()).await, "Ben").await;
    watch.until("the snapshot", |shown| shown.pages > 0).await;
    assert_eq!(watch.ids(), [kept]);
    assert_eq!(watch.messenger.get_message(id).await.unwrap_err().code, Code::NotFound);
    eventually("it is erased", || server.number(&["ZCARD", "{tm}:xp"]) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_that_slept_connects_anew_at_once() {
    let (server, clock) = Server::on_test_clock(&[]);
    let store = store_on(&server.url(), Access::default(), clock.clone()).await;
    let ana = Client::join_on(store, "Ana", clock.clone()).await;
    ana.messenger.save_message(text("short", "10s")).await.unwrap();
    let long = ana.messenger.save_message(text("long", "1h")).await.unwrap();
    ana.until("both are there", |shown| shown.messages.len() == 2).await;
    let (resets, connections) = ana.look(|shown| (shown.resets, server.number(&["CLIENT", "ID"])));
    clock.advance(5 * 60_000);
    ana.until("it has read again", |shown| shown.resets > resets && shown.messages.keys().eq([&long.seq])).await;
    assert!(server.number(&["CLIENT", "ID"]) > connections + 2, "it is on new connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_is_told_what_is_alive() {
    let (server, ana) = team().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "Ben");
    let other = store(&as_user(&server.url()), access()).await;
    let messenger = Messenger::new(other, settings, Arc::new(SystemClock));
    let request = Subscribe { rooms: vec![RoomName::lobby()], expiry: false };
    let mut paused = messenger.events(request).await.unwrap();
    let mut newest = Vec::new();
    for batch in 0..20 {
        let saves = (0..200).map(|n| ana.messenger.save_message(text(&format!("{batch} {n}"), "1h")));
        newest.extend(join_all(saves).await.into_iter().map(|stamp| stamp.unwrap().seq));
    }
    newest.sort_unstable();
    let newest = &newest[newest.len() - 50..];
    let mut shown = Shown::default();
    while shown.resets == 0 || !shown.messages.keys().rev().take(50).rev().eq(newest) {
        let event = tokio::time::timeout(Duration::from_secs(30), paused.events.recv()).await;
        shown.apply(event.unwrap().unwrap());
    }
    assert_eq!(shown.twice, 0);
}
