//! Ratios of the team's store, each beside a peer in the same run: a real redis-server on this computer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool")]

use std::{process::Command, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use redis::{
    Client,
    aio::{MultiplexedConnection, PubSubStream},
};
use temp_messenger_core::{
    clock::{Clock, Stopwatch, SystemClock},
    lifetime::{Lifetime, Millis},
    message::MessageId,
    room::{PutRoom, RoomName},
    store::{Access, Change, Changes, NewRecord, Store, redis::RedisStore},
};
use temp_messenger_tests::redis::Server;

const FEW: usize = 1_000;
const MANY: usize = 100_000;
const MOST: usize = 1_000_000;
const DAY: Millis = 86_400_000;
/// A payload, and what the store keeps of it: 42 bytes of header before it.
const PAYLOAD: [u8; 256] = [b'7'; 256];
const KEPT: usize = PAYLOAD.len() + 42;

fn record(lifetime: Millis) -> NewRecord {
    NewRecord {
        id: MessageId::random(),
        room: RoomName::lobby().id(),
        lifetime: Lifetime::from_millis(lifetime).unwrap(),
        not_after: None,
        payload: PAYLOAD.to_vec(),
        once: None,
    }
}

async fn window(server: &Server) -> Arc<RedisStore> {
    let address = server.url().parse().unwrap();
    let store = RedisStore::start(address, Access::default(), Arc::new(SystemClock)).unwrap();
    store.connected().await.unwrap();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    Arc::new(store)
}

async fn windows(server: &Server, count: usize) -> Vec<Arc<RedisStore>> {
    join_all((0..count).map(|_| window(server))).await
}

async fn plain(server: &Server) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// So many callers, each with its next save once the last is answered.
async fn save_all(store: &Arc<RedisStore>, callers: usize, saves: usize) {
    let callers = (0..callers).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..saves {
                store.save(record(DAY)).await.unwrap();
            }
        })
    });
    assert!(join_all(callers).await.iter().all(Result::is_ok));
}

async fn filled(live: usize) -> (Server, Arc<RedisStore>) {
    let server = Server::start(&[]);
    let store = window(&server).await;
    save_all(&store, 250, live / 250).await;
    (server, store)
}

fn at(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * share) as usize]
}

fn median(times: &mut [f64]) -> f64 {
    at(times, 0.5)
}

/// The number behind these names, one after the other, in a section of INFO.
fn info(server: &Server, section: &str, names: &[&str]) -> f64 {
    let answer = server.ask(&["INFO", section]);
    let rest = names.iter().fold(&answer[..], |rest, name| rest.split_once(name).unwrap().1);
    rest.split([',', '\r', '\n']).next().unwrap().parse().unwrap()
}

/// In turns, so that what disturbs the machine disturbs both.
async fn one_caller(server: &Server, store: &RedisStore) {
    let mut connection = plain(server).await;
    let (mut pings, mut saves) = (Vec::new(), Vec::new());
    for _ in 0..4_000 {
        let watch = Stopwatch::start();
        redis::cmd("PING").exec_async(&mut connection).await.unwrap();
        pings.push(watch.millis());
        let watch = Stopwatch::start();
        store.save(record(DAY)).await.unwrap();
        saves.push(watch.millis());
    }
    let (ping, save) = (median(&mut pings), median(&mut saves));
    println!("save, one caller / PING: {:.2} (at most 2; {save:.3} and {ping:.3} ms)", save / ping);
}

/// SETs a second of redis-benchmark with 50 connections and no pipeline.
fn sets(server: &Server) -> f64 {
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &server.port.to_string(), "-c", "50", "-P", "1", "-n", "20000", "-r", "1000000", "--csv"]);
    command.args(["SET", "bench:__rand_int__", &"7".repeat(KEPT), "PX", "60000"]);
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    output.lines().last().unwrap().split(',').nth(1).unwrap().trim_matches('"').parse().unwrap()
}

async fn in_flight(server: &Server, store: &Arc<RedisStore>) {
    let (mut peers, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        peers.push(sets(server));
        let watch = Stopwatch::start();
        save_all(store, 50, 400).await;
        rates.push(20_000.0 / watch.millis() * 1_000.0);
    }
    let (peer, rate) = (median(&mut peers), median(&mut rates));
    println!(
        "saves/s, 50 in flight on one store / SETs/s of redis-benchmark -c 50: {:.2} (at least 0.2; {rate:.0} and {peer:.0})",
        rate / peer
    );
}

async fn seen(changes: &mut Changes, id: MessageId, watch: Stopwatch) -> f64 {
    loop {
        if let Change::Saved(record) = changes.next().await.unwrap()
            && record.id == id
        {
            return watch.millis();
        }
    }
}

async fn heard(messages: &mut PubSubStream, watch: Stopwatch) -> f64 {
    messages.next().await.unwrap();
    watch.millis()
}

async fn subscribed(server: &Server) -> PubSubStream {
    let mut connection = Client::open(server.url()).unwrap().get_async_pubsub().await.unwrap();
    connection.subscribe("lobby").await.unwrap();
    connection.into_on_message()
}

/// From the call on, until it is seen by whoever listens: a save by stores, a PUBLISH by as many subscribers. The peer has
/// a server of its own, so that the CPU of the store's is the store's.
async fn delivery(listening: usize, messages: usize) {
    let (server, other) = (Server::start(&[]), Server::start(&[]));
    let (sender, mut publisher) = (window(&server).await, plain(&other).await);
    let listeners = windows(&server, listening).await;
    let mut listeners: Vec<_> = listeners.iter().map(|store| (store, store.changes())).collect();
    let mut subscribers = join_all((0..listening).map(|_| subscribed(&other))).await;
    // What connecting takes is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cpu = || info(&server, "cpu", &["used_cpu_user:"]) + info(&server, "cpu", &["used_cpu_sys:"]);
    let (mut changes, mut published, before) = (Vec::new(), Vec::new(), cpu());
    for _ in 0..messages {
        let watch = Stopwatch::start();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg("lobby").arg(&PAYLOAD[..]);
        let all = join_all(subscribers.iter_mut().map(|messages| heard(messages, watch)));
        let (sent, times) = join(publish.exec_async(&mut publisher), all).await;
        sent.unwrap();
        published.extend(times);
        let new = record(DAY);
        let id = new.id;
        let watch = Stopwatch::start();
        let all = join_all(listeners.iter_mut().map(|(_, changes)| seen(changes, id, watch)));
        let all = tokio::time::timeout(Duration::from_secs(10), join(sender.save(new), all));
        let (sent, times) = all.await.expect("a change was missed");
        sent.unwrap();
        changes.extend(times);
    }
    // The sender's own feed receives as well.
    let each = (cpu() - before) * 1e6 / (messages * (listening + 1)) as f64;
    let (change, peer) = (median(&mut changes), median(&mut published));
    println!(
        "send to change, {listening} listening / PUBLISH to received: {:.2} (at most 5; {change:.3} and {peer:.3} ms; p99 {:.3} and {:.3} ms; server CPU a recipient {each:.1} us)",
        change / peer,
        at(&mut changes, 0.99),
        at(&mut published, 0.99)
    );
}

async fn page(store: &RedisStore) -> f64 {
    let watch = Stopwatch::start();
    assert_eq!(store.page(RoomName::lobby().id(), None, 50).await.unwrap().records.len(), 50);
    watch.millis()
}

async fn pages(many: &RedisStore, most: &RedisStore) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..2_000 {
        a.push(page(many).await);
        b.push(page(most).await);
    }
    let (a, b) = (median(&mut a), median(&mut b));
    println!("newest page of 50, 1,000,000 live / 100,000 live: {:.2} (at most 1.3; {b:.3} and {a:.3} ms)", b / a);
}

/// How many messages are not yet erased.
async fn unswept(connection: &mut MultiplexedConnection) -> usize {
    redis::cmd("ZCARD").arg("{tm}:xp").query_async(connection).await.unwrap()
}

/// 10,000 messages due within 10 s: how late after its deadline a message is unlinked.
async fn lateness(server: &Server, store: &RedisStore, online: usize) {
    let mut connection = plain(server).await;
    let before = unswept(&mut connection).await;
    let first = SystemClock.wall() + 4_000;
    let saves = stream::iter((0..10_000).map(|n| store.save(record(first + n - SystemClock.wall()))));
    let stamps: Vec<_> = saves.buffer_unordered(250).collect().await;
    let mut deadlines: Vec<_> = stamps.into_iter().map(|stamp| stamp.unwrap().deadline).collect();
    deadlines.sort_unstable();
    assert!(SystemClock.wall() < deadlines[0], "saving took too long");
    let (mut late, mut removed) = (Vec::new(), 0);
    while removed < deadlines.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let gone = deadlines.len() - (unswept(&mut connection).await - before);
        let now = SystemClock.wall();
        late.extend(deadlines[removed..gone].iter().map(|deadline| now.saturating_sub(*deadline) as f64));
        removed = gone;
    }
    println!(
        "unlinked after the deadline, 10,000 due in 10 s at 100,000 live, {online} online: p50 {} ms, p99 {} ms (at most 25), max {} ms",
        at(&mut late, 0.5),
        at(&mut late, 0.99),
        at(&mut late, 1.0)
    );
}

/// What the server's scripts take for a message of 5,000 that are due at once, in us.
async fn reaping(server: &Server, store: &RedisStore) -> f64 {
    let mut connection = plain(server).await;
    let before = unswept(&mut connection).await;
    let due = SystemClock.wall() + 3_000;
    let saves = stream::iter((0..5_000).map(|_| store.save(record(due - SystemClock.wall()))));
    assert!(saves.buffer_unordered(100).all(async |stamp| stamp.is_ok()).await);
    // The feed has read them all by then.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let spent = || info(server, "commandstats", &["cmdstat_evalsha:", "usec="]);
    let start = spent();
    assert!(SystemClock.wall() < due, "saving took too long");
    while unswept(&mut connection).await > before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (spent() - start) / 5_000.0
}

async fn reapings(few: (&Server, &RedisStore), many: (&Server, &RedisStore)) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        a.push(reaping(few.0, few.1).await);
        b.push(reaping(many.0, many.1).await);
    }
    let (a, b) = (median(&mut a), median(&mut b));
    println!(
        "reaping a message of 5,000 due at once, 100,000 live / 1,000 live: {:.2} (near 1; {b:.2} and {a:.2} us)",
        b / a
    );
}

#[tokio::main]
async fn main() {
    let (team, store) = filled(FEW).await;
    one_caller(&team, &store).await;
    in_flight(&team, &store).await;
    drop(store);
    delivery(1, 1_000).await;
    delivery(50, 300).await;
    let watch = Stopwatch::start();
    let (most_server, most) = filled(MOST).await;
    println!("1,000,000 saves, 250 in flight: {:.1} s", watch.millis() / 1_000.0);
    let (many_server, many) = filled(MANY).await;
    pages(&many, &most).await;
    drop(most);
    let (few_server, few) = filled(FEW).await;
    reapings((&few_server, &few), (&many_server, &many)).await;
    lateness(&many_server, &many, 1).await;
    let _others = windows(&many_server, 5).await;
    lateness(&many_server, &many, 6).await;
    let stats: String = [&team, &most_server, &many_server, &few_server].map(Server::commandstats).concat();
    let found: Vec<_> = stats.lines().filter(|line| line.contains("_keys:") || line.contains("_scan:")).collect();
    println!("KEYS and SCAN that the servers ran: {} (at most 0) {}", found.len(), found.join(" "));
}
