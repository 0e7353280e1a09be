//! Somebody else writes under our keys: nothing crashes, what is good is shown, what is bad is skipped and counted. And
//! what stands in the server when everything is over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use temp_messenger_core::{
    api::{Api, ClaimMessage, GetAllMessages},
    error::Code,
    message::MessageId,
    room::RoomName,
    store::Access,
};
use temp_messenger_tests::{
    dice::Dice,
    redis::{Server, push},
    team::{Client, eventually, store, store_on, text},
};

/// A few bytes changed, cut off or added.
fn mutate(dice: &mut Dice, value: &[u8]) -> Vec<u8> {
    let mut roll = |sides: usize| usize::try_from(dice.roll(sides as u64)).unwrap();
    let mut value = value.to_vec();
    for _ in 0..=roll(4) {
        match roll(4) {
            0 => value.truncate(roll(value.len() + 1)),
            1 => value.extend((0..roll(40)).map(|n| n as u8)),
            _ if !value.is_empty() => {
                let at = roll(value.len());
                value[at] = u8::try_from(roll(256)).unwrap();
            }
            _ => {}
        }
    }
    value
}

fn key(kind: &str, id: &[u8]) -> Vec<u8> {
    [b"{tm}:", kind.as_bytes(), id].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_mutated_values_hide_nothing() {
    let seed = u64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) | 1;
    println!("seed {seed}");
    let (server, mut dice) = (Server::start(&[]), Dice(seed));
    let ana = Client::join(store(&server.url(), Access::default()).await, "Ana").await;
    let good = ana.messenger.save_message(text("good", "1h")).await.unwrap();
    let value = server.raw(&[b"GET", &key("m:", good.id.as_bytes())]);
    let room = RoomName::lobby().id();
    // In one long line of commands: a value, its place in the order, and an entry of the log.
    let mut commands = Vec::new();
    for n in 0..100_000_u32 {
        let id = MessageId::random();
        let mutated = mutate(&mut dice, &value);
        let seq = (good.seq + u64::from(n % 200)).to_string();
        let told = [b"s", &id.as_bytes()[..]].concat();
        let entry = if n % 4 == 0 { mutate(&mut dice, &told) } else { told };
        push(&mut commands, &[b"SET", &key("m:", id.as_bytes()), &mutated, b"PX", b"60000"]);
        // Only a few stand in the order, or the good one would be far down.
        if n % 500 == 0 {
            push(&mut commands, &[b"ZADD", &key("ix:", &room.0), seq.as_bytes(), id.as_bytes()]);
            push(
                &mut commands,
                &[b"ZADD", &key("xp", b""), b"1", &mutate(&mut dice, &[&room.0[..], id.as_bytes()].concat())],
            );
        }
        push(&mut commands, &[b"XADD", &key("log", b""), b"*", b"e", &entry]);
        if n % 1_000 == 999 {
            server.run(&std::mem::take(&mut commands));
        }
    }
    let last = ana.messenger.save_message(text("also good", "1h")).await.unwrap();
    ana.until("the good ones are there", |shown| {
        shown.messages.contains_key(&good.seq) && shown.messages.contains_key(&last.seq)
    })
    .await;
    let skipped = ana.messenger.konnichiwa().await.unwrap().skipped;
    assert!(skipped > 10_000, "only {skipped} were skipped");
    eventually("foreign deadlines are taken out", || server.number(&["ZCOUNT", "{tm}:xp", "-inf", "1"]) == 0).await;
    let ben = Client::join(store(&server.url(), Access::default()).await, "Ben").await;
    ben.until("also from the beginning", |shown| shown.messages.contains_key(&last.seq)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_under_our_keys_break_no_more_than_themselves() {
    let server = Server::start(&[]);
    let ana = Client::join(store(&server.url(), Access::default()).await, "Ana").await;
    let good = ana.messenger.save_message(text("good", "1h")).await.unwrap();
    // A message that is a list, told in the log; an order that is a string; rooms that are no rooms; scores of any size.
    let id = MessageId::random();
    server.ask_bytes(&[b"LPUSH", &key("m:", id.as_bytes()), b"x"]);
    server.ask_bytes(&[b"XADD", &key("log", b""), b"*", b"e", &[b"s", &id.as_bytes()[..]].concat()]);
    server.ask_bytes(&[b"XADD", &key("log", b""), b"*", b"a", b"b", b"c", &[b'x'; 100_000]]);
    server.ask_bytes(&[b"SET", &key("ix:", &[7; 16]), b"x"]);
    server.ask_bytes(&[b"HSET", &key("rooms", b""), &[7; 16], &[1; 40], b"short", b"x", &[9; 16], &[255; 64]]);
    server.ask_bytes(&[b"ZADD", &key("xp", b""), b"-inf", b"x", b"-1", b"y", b"0.5", &[7; 32], b"1", &[7; 33]]);
    server.ask_bytes(&[b"SET", &key("m:", &[8; 16]), &vec![b'x'; 10 * 1024 * 1024]]);
    server.ask_bytes(&[b"ZADD", &key("ix:", &RoomName::lobby().id().0), b"9e15", &[8; 16], b"inf", b"z"]);
    eventually("what is due is out of the way", || server.number(&["ZCARD", "{tm}:xp"]) == 1).await;
    let after = ana.messenger.save_message(text("after", "1h")).await.unwrap();
    ana.until("both are there", |shown| shown.messages.keys().eq([&good.seq, &after.seq]) && shown.resets == 0).await;
    let ben = Client::join(store(&server.url(), Access::default()).await, "Ben").await;
    ben.until("both are there", |shown| shown.messages.keys().eq([&good.seq, &after.seq])).await;
    let large = ana.messenger.get_message(MessageId::from_bytes([8; 16])).await.unwrap_err();
    assert_eq!(large.code, Code::Corrupt);
    assert_eq!(ana.messenger.list_rooms().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_is_counted_and_left() {
    let server = Server::start(&[]);
    let ana = Client::join(store(&server.url(), Access::default()).await, "Ana").await;
    let good = ana.messenger.save_message(text("good", "1h")).await.unwrap();
    let next = ana.messenger.save_message(text("of tomorrow", "1h")).await.unwrap();
    // The version of a record, and of a payload within one of ours.
    for (id, at) in [(next.id, "24"), (ana.messenger.save_message(text("also", "1h")).await.unwrap().id, "42")] {
        server.ask_bytes(&[b"SETRANGE", &key("m:", id.as_bytes()), at.as_bytes(), &[9]]);
    }
    let lobby = GetAllMessages { room: RoomName::lobby(), before: None, limit: None };
    let page = ana.messenger.get_all_messages(lobby).await.unwrap();
    assert_eq!((page.messages.len(), page.newer), (1, 2));
    assert_eq!(page.messages[0].id, good.id);
    assert_eq!(ana.messenger.get_message(next.id).await.unwrap_err().code, Code::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_log_takes_nothing_rather_than_lose_it() {
    let server = Server::start(&[]);
    let ana = Client::join(store(&server.url(), Access::default()).await, "Ana").await;
    ana.messenger.save_message(text("before", "1h")).await.unwrap();
    server.ask(&["XADD", "{tm}:log", "18446744073709551614-1", "a", "b"]);
    let error = ana.messenger.save_message(text("x", "1h")).await.unwrap_err();
    assert_eq!(error.code, Code::Corrupt, "{error}");
    assert_eq!(server.number(&["ZCARD", "{tm}:xp"]), 1);
    server.ask(&["DEL", "{tm}:log"]);
    ana.messenger.save_message(text("after", "1h")).await.unwrap();
    ana.until("it goes on", |shown| shown.messages.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_everything_is_over_the_server_is_as_it_was() {
    let (server, clock) = Server::on_test_clock(&[]);
    let before = {
        let ana =
            Client::join_on(store_on(&server.url(), Access::default(), clock.clone()).await, "Ana", clock.clone())
                .await;
        ana.messenger.list_rooms().await.unwrap();
        server.keys()
    };
    let ana =
        Client::join_on(store_on(&server.url(), Access::default(), clock.clone()).await, "Ana", clock.clone()).await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let request = temp_messenger_core::message::SaveMessage { once: n % 4 == 0, ..text(&n.to_string(), "10m") };
        ids.push(ana.messenger.save_message(request).await.unwrap().id);
    }
    ana.messenger.delete_message(ids[1]).await.unwrap();
    let claim = ClaimMessage { id: ids[4], nonce: uuid::Uuid::new_v4() };
    ana.messenger.claim_message(claim).await.unwrap();
    assert!(server.keys().len() > 40);
    // Everything expires, then the dead are forgotten.
    clock.advance(10 * 60_000);
    eventually("all are erased", || server.number(&["ZCARD", "{tm}:xp"]) == 0).await;
    clock.advance(11 * 60_000 + 1);
    let named = ["{tm}:janitor", "{tm}:log", "{tm}:rooms"];
    eventually("all keys are gone but those of the space", || {
        server.keys().iter().all(|key| named.contains(&key.as_str()))
    })
    .await;
    eventually("the log is empty", || server.number(&["XLEN", "{tm}:log"]) == 0).await;
    assert!(before.iter().all(|key| named.contains(&key.as_str())));
}
