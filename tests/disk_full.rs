//! A disk that is really full: writes are refused with `full`, nothing acknowledged is lost, what ends stays ended, and
//! everything works again when there is room. Needs root, for a small file system of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use temp_messenger_core::{
    clock::SystemClock,
    error::Code,
    message::MessageId,
    room::{PutRoom, RoomName},
    store::{NewRecord, Store, sled::SledStore},
};
use temp_messenger_tests::torture;

/// A file system of 24 MiB; gone with its handle.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self(folder))
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

async fn open(folder: &Path) -> SledStore {
    let store = SledStore::open(folder, Arc::new(SystemClock)).await.unwrap();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    store
}

/// The answer of a read once the database is open again.
async fn is_alive(store: &SledStore, id: MessageId) -> bool {
    loop {
        match store.get(id).await {
            Ok(record) => {
                assert!(record.payload == torture::payload(id));
                return true;
            }
            Err(error) if error.code == Code::NotFound => return false,
            Err(error) => assert_eq!(error.code, Code::Full, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a file system of its own cannot be mounted here (root is needed)");
        return;
    };
    std::fs::write(disk.ballast(), vec![0; 12 * 1024 * 1024]).unwrap();
    let store = open(&disk.store()).await;
    let short = torture::record(2);
    store.save(short.clone()).await.unwrap();
    let mut saved = Vec::new();
    let refusal = loop {
        let new = torture::record(3_600);
        let id = new.id;
        match store.save(new).await {
            Ok(_) => saved.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.code, Code::Full, "{refusal}");
    assert!(saved.len() > 100, "{}", saved.len());
    let ops = PutRoom::ensure("ops".parse().unwrap());
    assert_eq!(store.put_room(ops.clone()).await.unwrap_err().code, Code::Full);
    for id in &saved {
        assert!(is_alive(&store, *id).await, "{id} was acknowledged and is lost");
    }
    // The passing of a lifetime, on a full disk.
    while is_alive(&store, short.id).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(disk.ballast()).unwrap();
    let again = torture::record(3_600);
    loop {
        match store.save(again.clone()).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.code, Code::Full, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    saved.push(again.id);
    // A room that was refused is none, and can be made now.
    store.put_room(ops.clone()).await.unwrap();
    store.save(NewRecord { room: ops.name.id(), ..torture::record(3_600) }).await.unwrap();
    drop(store);
    let store = open(&disk.store()).await;
    for id in &saved {
        assert!(is_alive(&store, *id).await, "{id} was acknowledged and is lost");
    }
    assert!(!is_alive(&store, short.id).await);
}
