//! What goes wrong around the embedded store, and must not be taken for something else: a log that
//! lost a part, reads beside writes, an owner that drops it in the middle of something.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use super::*;

async fn save_many(store: &SledStore, many: usize, seconds: u64) -> Vec<MessageId> {
    let saves = (0..many).map(|n| store.save(message(&format!("{n} {}", "x".repeat(1_000)), seconds)));
    futures_util::future::join_all(saves).await.into_iter().map(|saved| saved.unwrap().id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_segments_are_used_again_is_no_damage() {
    let home = home();
    let store = home.open().await.unwrap();
    for _ in 0..20 {
        save_many(&store, 500, 60).await;
    }
    drop(store);
    let store = home.open().await.unwrap();
    let kept = store.save(message("kept", 86_400)).await.unwrap().id;
    home.clock.advance(60_000);
    while store.unswept() > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..20 {
        save_many(&store, 100, 60).await;
        home.clock.advance(60_000);
        while store.unswept() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(store);
    let store = home.open().await.unwrap();
    assert_eq!(store.get(kept).await.unwrap().payload, b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_beside_writes_sees_all_of_one_or_nothing() {
    let home = home();
    let store = Arc::new(home.open().await.unwrap());
    let whole = |letter: u8| vec![letter; 40_000];
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut seen = 0_u32;
                loop {
                    for record in store.page(RoomName::lobby().id(), None, 10).await.unwrap().records {
                        if record.payload.len() == 1 {
                            return seen;
                        }
                        assert_eq!(record.payload.len(), 40_000);
                        assert!(record.payload.iter().all(|byte| *byte == record.payload[0]), "torn");
                        match store.get(record.id).await {
                            Ok(record) => assert!(record.payload.iter().all(|byte| *byte == record.payload[0]), "torn"),
                            Err(error) => assert_eq!(error.code, Code::NotFound, "{error}"),
                        }
                        seen += 1;
                    }
                }
            })
        })
        .collect();
    let hour = Lifetime::from_millis(3_600_000).unwrap();
    for _ in 0..30 {
        let mut stamp = store.save(NewRecord { payload: whole(0), ..message("", 60) }).await.unwrap();
        for letter in 1..10 {
            stamp = store.set_lifetime(stamp.id, stamp.deadline, hour, Some(whole(letter))).await.unwrap();
        }
        store.delete(stamp.id).await.unwrap();
    }
    store.save(message("!", 60)).await.unwrap();
    for reader in readers {
        println!("{} seen", reader.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_others_keeps_its_rights() {
    let home = home();
    fs::create_dir_all(&home.folder).unwrap();
    fs::set_permissions(&home.folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.folder.join("thesis.txt"), "years of work").unwrap();
    assert_eq!(home.refusal().await.code, Code::Unsupported);
    assert_eq!(start_empty(&home.folder).unwrap_err().code, Code::Unsupported);
    assert_eq!(fs::metadata(&home.folder).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_damage() {
    let home = home();
    let store = home.open().await.unwrap();
    store.save(message("x", 3_600)).await.unwrap();
    drop(store);
    fs::remove_dir_all(home.folder.join("db")).unwrap();
    assert_eq!(home.refusal().await.code, Code::Corrupt);
    assert!(!home.folder.join("db").exists(), "nothing was made in its place");
    start_empty(&home.folder).unwrap();
    home.open().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_lost_a_part_is_damage_and_stays_as_it_is() {
    let home = home();
    drop(home.open().await.unwrap());
    let store = home.open().await.unwrap();
    for _ in 0..4 {
        save_many(&store, 500, 3_600).await;
    }
    drop(store);
    let whole = home.contents();
    let log = home.folder.join("db/db");
    let length = whole[&log].len();
    let segment = 512 * 1024;
    let garble = |at: usize, many: usize| {
        let (log, mut bytes) = (log.clone(), whole[&log].clone());
        bytes[at..at + many].fill(0xA5);
        move || fs::write(&log, &bytes).unwrap()
    };
    let last = (length - 1) / segment * segment;
    let cut = |to: usize| (log.clone(), whole[&log][..to].to_vec());
    let shorter = [cut(length - 100), cut(length - 4_096), cut(last), cut(segment)];
    let mut damages: Vec<Box<dyn Fn()>> =
        shorter.into_iter().map(|(log, bytes)| Box::new(move || fs::write(&log, &bytes).unwrap()) as _).collect();
    // In the middle, at the last segment's head, in its body, over the whole.
    damages.push(Box::new(garble(segment + 4_096, 4_096)));
    damages.push(Box::new(garble(2 * segment, 4)));
    damages.push(Box::new(garble(2 * segment + 100_000, 16)));
    damages.push(Box::new(garble(last, 64)));
    damages.push(Box::new(garble((last + length) / 2, 64)));
    damages.push(Box::new(garble(0, length)));
    let snapshot = whole.keys().find(|path| path.to_string_lossy().contains("snap.")).unwrap().clone();
    damages.push(Box::new(move || fs::write(&snapshot, b"garbage, but long enough to be one").unwrap()));
    for (n, damage) in damages.iter().enumerate() {
        fs::remove_dir_all(home.folder.join("db")).unwrap();
        fs::create_dir_all(home.folder.join("db/blobs")).unwrap();
        whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        damage();
        let before = home.contents();
        let refused = home.open().await.err().map(|error| error.code);
        assert_eq!(refused, Some(Code::Corrupt), "{n}");
        assert!(home.contents() == before, "{n}: nothing is changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_opens_again_whatever_was_under_way() {
    let home = home();
    for round in 0..20 {
        let store = Arc::new(home.open().await.unwrap());
        save_many(&store, 20, 3_600).await;
        // Reads that nobody waits for any more.
        for _ in 0..10 {
            let store = Arc::downgrade(&store);
            let read = async move {
                if let Some(store) = store.upgrade() {
                    let _ = store.page(RoomName::lobby().id(), None, 200).await;
                }
            };
            let _ = tokio::time::timeout(Duration::ZERO, read).await;
        }
        drop(Arc::into_inner(store).unwrap());
        assert!(Lock::take(&home.folder).is_ok(), "round {round}");
    }
}

/// A clock that says for what it was last asked to wait, and never comes back from there.
#[derive(Debug, Default)]
struct Awaited(TestClock, std::sync::atomic::AtomicU64);

#[async_trait]
impl Clock for Awaited {
    fn wall(&self) -> Millis {
        self.0.wall()
    }

    fn boot(&self) -> Millis {
        self.0.boot()
    }

    async fn wait_until(&self, boot: Millis) {
        self.1.store(boot, std::sync::atomic::Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_hears_of_an_earlier_deadline_from_a_caller_that_gave_up() {
    let (home, clock) = (home(), Arc::new(Awaited::default()));
    let store = SledStore::open(&home.folder, clock.clone()).await.unwrap();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    for seconds in [20, 10, 15, 5] {
        let saving = store.save(message("x", seconds));
        let _ = tokio::time::timeout(Duration::ZERO, saving).await;
        let until = clock.boot() + seconds.min(if seconds == 15 { 10 } else { seconds }) * 1_000;
        while clock.1.load(std::sync::atomic::Ordering::SeqCst) != until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_of_the_clock_hides_is_not_counted() {
    let home = home();
    let store = home.open().await.unwrap();
    for seconds in [60, 600, 86_400] {
        store.save(message("x", seconds)).await.unwrap();
    }
    home.clock.step(3_600_000);
    assert_eq!(store.rooms().await.unwrap()[0].live, 1);
    home.clock.step(-3_600_000);
    assert_eq!(store.rooms().await.unwrap()[0].live, 3);
}
