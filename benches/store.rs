//! Ratios of the embedded store, each beside a peer or a limit in the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool")]

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use futures_util::future::join_all;
use temp_messenger_core::{
    clock::{Clock, Stopwatch, SystemClock},
    lifetime::{Lifetime, Millis},
    message::MessageId,
    room::{PutRoom, RoomName},
    store::{NewRecord, Store, sled::SledStore},
};
use tempfile::TempDir;

const MANY: usize = 100_000;
const REPEATS: usize = 400;

fn record(lifetime: Millis) -> NewRecord {
    NewRecord {
        id: MessageId::random(),
        room: RoomName::lobby().id(),
        lifetime: Lifetime::from_millis(lifetime).unwrap(),
        not_after: None,
        payload: vec![7; 256],
        once: None,
    }
}

async fn filled(live: usize) -> (TempDir, SledStore) {
    let folder = TempDir::new().unwrap();
    let store = SledStore::open(&folder.path().join("store"), Arc::new(SystemClock)).await.unwrap();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    for start in (0..live).step_by(512) {
        let saves = (start..live.min(start + 512)).map(|_| store.save(record(86_400_000)));
        assert!(join_all(saves).await.iter().all(Result::is_ok));
    }
    (folder, store)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

async fn page(store: &SledStore) -> f64 {
    let watch = Stopwatch::start();
    assert_eq!(store.page(RoomName::lobby().id(), None, 50).await.unwrap().records.len(), 50);
    watch.millis()
}

/// In turns, so that what disturbs the machine disturbs both.
async fn pages(few: &SledStore, many: &SledStore) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        a.push(page(few).await);
        b.push(page(many).await);
    }
    let (a, b) = (median(a), median(b));
    println!("first page of 50, 100,000 live / 100 live: {:.2} (at most 1.5; {b:.3} and {a:.3} ms)", b / a);
}

async fn saves(store: &SledStore, folder: &TempDir) {
    let mut file = File::create(folder.path().join("limit")).unwrap();
    let (mut syncs, mut saves) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let watch = Stopwatch::start();
        file.write_all(&[7; 256]).unwrap();
        file.sync_data().unwrap();
        syncs.push(watch.millis());
        let watch = Stopwatch::start();
        store.save(record(86_400_000)).await.unwrap();
        saves.push(watch.millis());
    }
    let (sync, save) = (median(syncs), median(saves));
    println!("durable save / fdatasync of 256 bytes: {:.2} (at most 4; {save:.3} and {sync:.3} ms)", save / sync);
}

/// 10,000 messages due within 10 s: how late after its deadline a message's rows are removed.
async fn lateness(store: &SledStore) {
    let before = store.unswept();
    let first = SystemClock.wall() + 12_000;
    let mut deadlines = Vec::new();
    for batch in 0..20_u64 {
        let saves = (0..500).map(|n| store.save(record(first + batch * 500 + n - SystemClock.wall())));
        deadlines.extend(join_all(saves).await.into_iter().map(|stamp| stamp.unwrap().deadline));
    }
    deadlines.sort_unstable();
    let (mut late, mut removed) = (Vec::new(), 0);
    while removed < deadlines.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let left = store.unswept() - before;
        let now = SystemClock.wall();
        let gone = deadlines.len() - usize::try_from(left).unwrap();
        late.extend(deadlines[removed..gone].iter().map(|deadline| now.saturating_sub(*deadline)));
        removed = gone;
    }
    late.sort_unstable();
    let at = |part: usize| late[late.len() * part / 1_000];
    println!(
        "rows removed after the deadline, 10,000 due in 10 s at 100,000 live: p50 {} ms, p99 {} ms, max {} ms",
        at(500),
        at(990),
        at(999)
    );
}

#[tokio::main]
async fn main() {
    let (_few_folder, few) = filled(100).await;
    let watch = Stopwatch::start();
    let (folder, many) = filled(MANY).await;
    println!("100,000 durable saves, 512 at a time: {:.1} s", watch.millis() / 1_000.0);
    pages(&few, &many).await;
    saves(&many, &folder).await;
    lateness(&many).await;
    drop(many);
    let watch = Stopwatch::start();
    let store = SledStore::open(&folder.path().join("store"), Arc::new(SystemClock)).await.unwrap();
    page(&store).await;
    println!("opened again with its first page at 100,000 live: {:.0} ms", watch.millis());
}
