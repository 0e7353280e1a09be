//! Six people, one server, and a network that is cut, stalled and let go at random, with the server stopped now and then:
//! in the end every list shows exactly what is alive on the server, in order, nothing twice, nothing acknowledged missing.
//!
//! `CHAOS_SECONDS` and `CHAOS_SEED` say how long, and which run to repeat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use temp_messenger_core::{
    api::{Api, SetLifetime},
    clock::Stopwatch,
    error::Code,
    message::MessageId,
    room::RoomName,
    store::{LARGEST_PAGE, Store},
};
use temp_messenger_tests::{
    dice::Dice,
    proxy::Proxy,
    redis::Server,
    team::{Client, access, store, text},
};

const PEOPLE: usize = 6;

/// What people did that was answered.
#[derive(Default)]
struct Ledger {
    saved: BTreeMap<MessageId, u64>,
    deleted: BTreeSet<MessageId>,
    /// Asked to be deleted, whatever came of it.
    doomed: BTreeSet<MessageId>,
    unknown: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_end_everybody_shows_what_is_alive() {
    let number = |name, other| std::env::var(name).map_or(other, |value: String| value.parse().unwrap());
    let seconds: u64 = number("CHAOS_SECONDS", 10);
    let seed: u64 = number("CHAOS_SEED", u64::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap()));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={seconds}");
    let mut server = Server::restricted(&[]);
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let proxy = Proxy::before(server.port).await;
        let url = proxy.url().replace("redis://", "redis://tempmsg@");
        people.push((proxy, Client::join(store(&url, access()).await, &format!("person {n}")).await));
    }
    let (ledger, over) = (Arc::new(Mutex::new(Ledger::default())), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for (n, (_, client)) in people.iter().enumerate() {
        let dice = Dice(seed.rotate_left(u32::try_from(n).unwrap()) | 1);
        writers.push(tokio::spawn(write(client.messenger.clone(), dice, ledger.clone(), over.clone())));
    }
    let (mut dice, started, mut faults) = (Dice(seed | 1), Stopwatch::start(), 0);
    while started.millis() < seconds as f64 * 1_000.0 {
        let (proxy, _) = &people[usize::try_from(dice.roll(PEOPLE as u64)).unwrap()];
        match dice.roll(10) {
            0..5 => proxy.cut_all(),
            5..8 => proxy.stall(),
            8 => drop(server.ask(&["CLIENT", "KILL", "TYPE", "normal", "USER", "tempmsg"])),
            _ => {
                server.signal(Signal::STOP);
                tokio::time::sleep(Duration::from_millis(dice.roll(500))).await;
                server.signal(Signal::CONT);
            }
        }
        faults += 1;
        tokio::time::sleep(Duration::from_millis(dice.roll(150))).await;
        let (proxy, _) = &people[usize::try_from(dice.roll(PEOPLE as u64)).unwrap()];
        proxy.let_go();
    }
    over.store(true, Ordering::Relaxed);
    people.iter().for_each(|(proxy, _)| proxy.let_go());
    for writer in writers {
        writer.await.unwrap();
    }
    let fresh = store(&server.url().replace("redis://", "redis://tempmsg@"), access()).await;
    let mut shown = 0;
    for (n, (_, client)) in people.iter().enumerate() {
        // What everybody shows is what the newest page was at their last connection, and all that came since.
        let mut same = false;
        for _ in 0..3_000 {
            let alive = alive(&*fresh).await;
            let list = client.look(|shown| {
                let from = shown.messages.keys().next().copied().unwrap_or(0);
                (from, shown.messages.values().map(|message| (message.id, message.deadline)).collect::<Vec<_>>())
            });
            let expected: Vec<_> = alive.iter().filter(|(seq, _)| **seq >= list.0).map(|(_, kept)| *kept).collect();
            if list.1 == expected && expected.len() >= alive.len().min(50) {
                (same, shown) = (true, expected.len());
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(same, "person {n} shows something else than is alive");
        assert_eq!(client.look(|shown| shown.twice), 0, "person {n} saw something twice");
    }
    let alive: BTreeMap<_, _> = alive(&*fresh).await.into_iter().map(|(seq, (id, _))| (id, seq)).collect();
    let ledger = ledger.lock().unwrap();
    for (id, seq) in &ledger.saved {
        if !ledger.doomed.contains(id) {
            assert_eq!(alive.get(id), Some(seq), "{id} was acknowledged and is not there");
        }
    }
    assert!(ledger.deleted.iter().all(|id| !alive.contains_key(id)), "something deleted is alive");
    let (saved, deleted, unknown) = (ledger.saved.len(), ledger.deleted.len(), ledger.unknown);
    println!(
        "{faults} faults, {saved} saved, {deleted} deleted, {unknown} without an answer, {shown} shown by the last"
    );
    // Far less than any machine does, and far more than who gives up.
    assert!(saved as u64 >= 20 * seconds && faults as u64 >= seconds, "hardly anything came through");
}

/// Saves, deletes and changes lifetimes as fast as the network lets it.
async fn write(messenger: Arc<dyn Api>, mut dice: Dice, ledger: Arc<Mutex<Ledger>>, over: Arc<AtomicBool>) {
    let mut mine = Vec::new();
    while !over.load(Ordering::Relaxed) {
        match dice.roll(10) {
            0..7 => {
                let request = text("x", "1h");
                loop {
                    match messenger.save_message(request.clone()).await {
                        Ok(stamp) => {
                            mine.push(stamp.id);
                            ledger.lock().unwrap().saved.insert(stamp.id, stamp.seq);
                            break;
                        }
                        // Again, with the same id, as the outbox does.
                        Err(error) if error.code == Code::Unreachable => {
                            ledger.lock().unwrap().unknown += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            7..9 if !mine.is_empty() => {
                let id = mine.swap_remove(usize::try_from(dice.roll(mine.len() as u64)).unwrap());
                ledger.lock().unwrap().doomed.insert(id);
                match messenger.delete_message(id).await {
                    Ok(()) => drop(ledger.lock().unwrap().deleted.insert(id)),
                    Err(error) if error.code == Code::Unreachable => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ if !mine.is_empty() => {
                let id = mine[usize::try_from(dice.roll(mine.len() as u64)).unwrap()];
                let lifetime = format!("{}h", 2 + dice.roll(20)).parse().unwrap();
                match messenger.set_lifetime(SetLifetime { id, lifetime }).await {
                    Err(error) if !matches!(error.code, Code::Unreachable | Code::Taken) => panic!("{error}"),
                    _ => {}
                }
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(8))).await;
    }
}

/// What the server has, by seq.
async fn alive(store: &dyn Store) -> BTreeMap<u64, (MessageId, u64)> {
    let (mut found, mut before) = (BTreeMap::new(), None);
    loop {
        let page = store.page(RoomName::lobby().id(), before, LARGEST_PAGE).await.unwrap();
        before = page.records.last().map(|record| record.seq);
        found.extend(page.records.into_iter().map(|record| (record.seq, (record.id, record.deadline))));
        if !page.more {
            return found;
        }
    }
}
