//! The victim of `kill`: writes to an embedded store as fast as it can, and says on standard output what it is about to
//! do and what was acknowledged. `writer FOLDER`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the tests")]

use std::{path::PathBuf, sync::Arc};

use temp_messenger_core::{
    clock::SystemClock,
    error::Code,
    room::{PutRoom, RoomName},
    store::{Store, sled::SledStore},
};
use temp_messenger_tests::torture;

/// How many write at once, so that groups are committed.
const CALLERS: usize = 8;

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("writer FOLDER"));
    let store = SledStore::open(&folder, Arc::new(SystemClock)).await.unwrap();
    store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
    let store = Arc::new(store);
    println!("open");
    let callers = (0..CALLERS).map(|_| tokio::spawn(write(store.clone())));
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

async fn write(store: Arc<SledStore>) {
    let mut last = None;
    for n in 0_u64.. {
        let new = torture::record(if n % 4 == 3 { 1 } else { 3_600 });
        println!("save {}", new.id);
        let stamp = store.save(new).await.unwrap();
        println!("saved {} {}", stamp.id, stamp.deadline);
        if let Some(id) = last.replace(stamp.id).filter(|_| n % 3 == 0) {
            println!("delete {id}");
            match store.delete(id).await {
                Err(error) if error.code != Code::NotFound => panic!("{error}"),
                _ => println!("deleted {id}"),
            }
        }
    }
}
