//! The contract, and what is sled's own: folders, restarts, damage, a full disk.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tempfile::TempDir;

use super::{folder::Lock, *};
use crate::{
    clock::TestClock,
    room::RoomName,
    store::contract::{Subject, Unswept},
};

mod faults;

async fn subject() -> Subject {
    let (folder, clock) = (TempDir::new().unwrap(), Arc::new(TestClock::default()));
    let store = SledStore::open(&folder.path().join("store"), clock.clone()).await.unwrap();
    let store = Arc::new(store);
    let counted = store.clone();
    let unswept = Unswept(Box::new(move || counted.unswept()));
    Subject { store, clock, unswept, keep: Box::new(folder) }
}

crate::store_contract!(own_clock: subject());

struct Home {
    _keep: TempDir,
    folder: PathBuf,
    clock: Arc<TestClock>,
}

fn home() -> Home {
    let keep = TempDir::new().unwrap();
    Home { folder: keep.path().join("store"), _keep: keep, clock: Arc::new(TestClock::default()) }
}

impl Home {
    async fn open(&self) -> Result<SledStore> {
        let store = SledStore::open(&self.folder, self.clock.clone()).await?;
        store.put_room(PutRoom::ensure(RoomName::lobby())).await?;
        Ok(store)
    }

    async fn refusal(&self) -> Error {
        self.open().await.unwrap_err()
    }

    /// Every file and what is in it.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.file_name().unwrap() != "LOCK" {
                    found.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.folder, &mut found);
        found
    }
}

fn message(text: &str, seconds: u64) -> NewRecord {
    NewRecord {
        id: MessageId::random(),
        room: RoomName::lobby().id(),
        lifetime: Lifetime::from_millis(seconds * 1_000).unwrap(),
        not_after: None,
        payload: text.as_bytes().to_vec(),
        once: None,
    }
}

async fn texts(store: &SledStore) -> Vec<Vec<u8>> {
    let page = store.page(RoomName::lobby().id(), None, 200).await.unwrap();
    page.records.into_iter().rev().map(|record| record.payload).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_what_lives_and_returns_nothing_that_expired() {
    let home = home();
    let store = home.open().await.unwrap();
    let (long, deleted) = (message(&"x".repeat(60_000), 3_600), message("deleted", 3_600));
    for new in [long.clone(), message("expires while it is closed", 60), deleted.clone()] {
        store.save(new).await.unwrap();
    }
    store.delete(deleted.id).await.unwrap();
    drop(store);
    home.clock.advance(60_000);
    let store = home.open().await.unwrap();
    assert!(texts(&store).await == [long.payload.clone()]);
    assert_eq!(store.save(deleted).await.unwrap_err().code, Code::Ended, "the dead are remembered over a restart");
    assert_eq!(store.save(long.clone()).await.unwrap().id, long.id);
    while store.unswept() != 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seq_never_goes_back_over_a_restart() {
    let home = home();
    let store = home.open().await.unwrap();
    let first = store.save(message("x", 60)).await.unwrap();
    store.delete(first.id).await.unwrap();
    drop(store);
    home.clock.step(-86_400_000);
    let store = home.open().await.unwrap();
    assert!(store.save(message("x", 60)).await.unwrap().seq > first.seq);
    // Also when the room that knew it is forgotten.
    home.clock.advance(31 * 86_400_000);
    while !store.rooms().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    let last = store.save(message("x", 60)).await.unwrap();
    store.delete(last.id).await.unwrap();
    home.clock.advance(31 * 86_400_000);
    while !store.rooms().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(store);
    home.clock.step(-90 * 86_400_000);
    let store = home.open().await.unwrap();
    assert!(store.save(message("x", 60)).await.unwrap().seq > last.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_owner_at_a_time() {
    let home = home();
    let store = home.open().await.unwrap();
    let refused = home.refusal().await;
    assert_eq!(refused.code, Code::InUse);
    assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
    assert_eq!(start_empty(&home.folder).unwrap_err().code, Code::InUse);
    drop(store);
    home.open().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_ours_is_left_as_it_is() {
    let home = home();
    fs::create_dir_all(&home.folder).unwrap();
    fs::write(home.folder.join("thesis.txt"), "years of work").unwrap();
    assert_eq!(home.refusal().await.code, Code::Unsupported);
    assert_eq!(fs::read_dir(&home.folder).unwrap().count(), 1);
    fs::remove_file(home.folder.join("thesis.txt")).unwrap();
    // A database of another program.
    let db = sled::open(home.folder.join("db")).unwrap();
    db.insert("theirs", "data").unwrap();
    drop(db);
    assert_eq!(home.refusal().await.code, Code::Unsupported);
    assert_eq!(sled::open(home.folder.join("db")).unwrap().get("theirs").unwrap().unwrap(), "data");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_ours_make_no_folder_ours() {
    for names in [&["LOCK", "CURRENT"][..], &["db/migrate.rb"], &["db/schema.rb", "LOCK"]] {
        let home = home();
        for name in names {
            let path = home.folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "theirs").unwrap();
        }
        let mode = fs::metadata(&home.folder).unwrap().permissions();
        assert_eq!(home.refusal().await.code, Code::Unsupported, "{names:?}");
        assert_eq!(start_empty(&home.folder).unwrap_err().code, Code::Unsupported, "{names:?}");
        assert_eq!(fs::metadata(&home.folder).unwrap().permissions(), mode);
        for name in names {
            assert_eq!(fs::read(home.folder.join(name)).unwrap(), b"theirs", "{name}");
        }
        assert_eq!(fs::read_dir(&home.folder).unwrap().count(), names.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_store_is_left_as_it_is() {
    let home = home();
    drop(home.open().await.unwrap());
    let db = sled::open(home.folder.join("db")).unwrap();
    db.insert("schema", &[99]).unwrap();
    drop(db);
    let refused = home.refusal().await;
    assert_eq!((refused.code, refused.message.contains("newer")), (Code::Unsupported, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_can_be_seen_changes_nothing() {
    let home = home();
    let store = home.open().await.unwrap();
    for n in 0..500 {
        store.save(message(&format!("{n} {}", "x".repeat(2_000)), 3_600)).await.unwrap();
    }
    drop(store);
    drop(home.open().await.unwrap());
    let whole = home.contents();
    let (log, conf) = (home.folder.join("db/db"), home.folder.join("db/conf"));
    let damages: [(&str, &dyn Fn()); 5] = [
        ("cut", &|| fs::write(&log, &whole[&log][..whole[&log].len() / 2]).unwrap()),
        ("empty", &|| fs::write(&log, b"").unwrap()),
        ("log lost", &|| fs::remove_file(&log).unwrap()),
        ("conf lost", &|| fs::remove_file(&conf).unwrap()),
        ("conf garbled", &|| fs::write(&conf, b"garbage").unwrap()),
    ];
    for (name, damage) in damages {
        for (path, bytes) in &whole {
            fs::write(path, bytes).unwrap();
        }
        damage();
        let before = home.contents();
        let refused = home.open().await.err().map(|error| error.code);
        assert_eq!(refused, Some(Code::Corrupt), "{name}");
        assert!(home.contents() == before, "{name}: nothing is changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_log_never_opens_as_if_it_were_whole() {
    let home = home();
    let store = home.open().await.unwrap();
    for n in 0..500 {
        store.save(message(&n.to_string(), 3_600)).await.unwrap();
    }
    drop(store);
    drop(home.open().await.unwrap());
    let log = home.folder.join("db/db");
    let length = fs::metadata(&log).unwrap().len();
    fs::write(&log, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    for name in fs::read_dir(home.folder.join("db")).unwrap() {
        let path = name.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::write(path, b"garbage").unwrap();
        }
    }
    assert_eq!(home.refusal().await.code, Code::Corrupt);
    start_empty(&home.folder).unwrap();
    let store = home.open().await.unwrap();
    assert!(texts(&store).await.is_empty());
    assert!(home.folder.join("db.damaged-1").exists(), "the old one is moved aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_being_written_does_not_hinder() {
    let home = home();
    let store = home.open().await.unwrap();
    store.save(message("x", 3_600)).await.unwrap();
    drop(store);
    fs::write(home.folder.join("db/snap.00000000FFFFFFFF.generating"), b"").unwrap();
    let store = home.open().await.unwrap();
    assert_eq!(texts(&store).await, [b"x".to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_never_hide_the_good_ones() {
    let home = home();
    let store = home.open().await.unwrap();
    let good = store.save(message("good", 3_600)).await.unwrap();
    drop(store);
    let db = sled::open(home.folder.join("db")).unwrap();
    let room = RoomName::lobby().id();
    let tree = db.open_tree("m").unwrap();
    for (part, value) in [(0, &b""[..]), (0, &[1, 255, 255][..]), (3, b"a chunk without a head")] {
        tree.insert(rows::message(room, good.seq + 1 + u64::from(part), part), value).unwrap();
    }
    tree.insert(b"short", b"x").unwrap();
    db.open_tree("x").unwrap().insert(b"\0", b"x").unwrap();
    db.open_tree("x").unwrap().insert(rows::due(1, MessageId::random()), b"").unwrap();
    db.open_tree("id").unwrap().insert(MessageId::random().as_bytes(), b"junk").unwrap();
    db.open_tree("r").unwrap().insert([9; 16], b"junk").unwrap();
    drop((tree, db));
    let store = home.open().await.unwrap();
    assert_eq!(texts(&store).await, [b"good".to_vec()]);
    store.save(message("another", 1)).await.unwrap();
    home.clock.advance(1_000);
    while store.unswept() != 1 {
        tokio::task::yield_now().await;
    }
}
