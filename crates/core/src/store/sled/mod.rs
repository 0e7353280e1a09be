//! The embedded store: sled behind a hardening that is not optional. One process owns a folder at a time.
//!
//! ```text
//! SledStore --(writes)--> writer: one thread, group commit --> engine: trees, sync --> sled
//!     |                       ^                                      ^
//!     +--(reads, beside it)---|--------------------------------------+
//!                             +--(what is due)-- sweeper
//! ```
//! `folder` owns the lock and decides what may be opened, with `mark` and `log`, which notice damage before sled mends it;
//! `ledger` decides what a write changes; `rows` owns how things are written down, `reading` how they are read.

mod engine;
mod folder;
mod ledger;
mod log;
mod mark;
mod reading;
mod rows;
mod shared;
mod transaction;
mod writer;

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;

use self::{
    engine::Engine,
    shared::Shared,
    writer::{Write, Writer},
};
use super::{
    Changes, Health, LARGEST_PAGE, NewRecord, Page, Record, Store, changes_of,
    sweeper::{self, Sweep},
    validate,
};
use crate::{
    clock::{Clock, Moment, Stopwatch, StoreClock},
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
    store::Change,
};
pub use folder::start_empty;

/// The engine's version, as `Cargo.toml` pins it.
const VERSION: &str = "0.34.7";

/// The embedded store in one folder.
pub struct SledStore {
    writer: Arc<Writer>,
}

impl SledStore {
    /// Opens the store in this folder, or makes an empty one. `in_use` where another process has it, `unsupported` for
    /// a folder that is not ours or newer, `corrupt` for one that is damaged: nothing is overwritten. Must be called
    /// inside a tokio runtime, where its sweeper runs until it is dropped.
    pub async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = folder.to_path_buf();
        let clock = Arc::new(StoreClock::new(clock));
        let time = clock.clone();
        let writer = Arc::new(blocking(move || Writer::start(&path, time)).await?);
        tokio::spawn(sweeper::run(Arc::downgrade(&writer), clock, writer.shared.wake.clone()));
        Ok(Self { writer })
    }

    /// How many messages have rows, whether they have ended or not: what a measurement of the sweeper counts.
    #[cfg(any(test, feature = "contract"))]
    pub fn unswept(&self) -> u64 {
        self.shared().rooms().iter().map(|room| room.live).sum()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.writer.shared
    }

    /// Reads beside the writer, on a thread that may wait for the disk. What it sees may not be synced yet; nobody has
    /// been told of that, and only a crash before the sync could take it back.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine, Millis) -> Result<T> + Send + 'static,
    ) -> Result<(T, Millis)> {
        let shared = self.shared().clone();
        blocking(move || {
            let now = shared.clock.read().now;
            Ok((read(&*shared.engine()?, now)?, now))
        })
        .await
    }
}

/// On a thread of its own; a panic there is an answer, not an end.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|_| Err(Error::new(Code::Internal, "the embedded store failed while it was read")))
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.writer.close();
        self.shared().wake.notify_one();
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SledStore")
    }
}

impl Sweep for Writer {
    async fn sweep(&self, moment: Moment) -> Option<Millis> {
        match self.write(|answer| Write::Sweep { moment, answer }).await {
            Ok(next) => next,
            Err(error) => {
                tracing::debug!(%error, "sweeping is late");
                Some(moment.steady + 1_000)
            }
        }
    }

    fn stepped(&self) {
        self.shared.tell(Change::Reset);
    }
}

#[async_trait]
impl Store for SledStore {
    async fn save(&self, new: NewRecord) -> Result<Stamp> {
        validate(&new.payload, new.once.as_deref())?;
        self.writer.write(|answer| Write::Save { new, answer }).await
    }

    async fn get(&self, id: MessageId) -> Result<Record> {
        self.read(move |engine, now| engine.alive(id, now)).await?.0.ok_or_else(Error::no_such_message)
    }

    async fn page(&self, room: RoomId, before: Option<u64>, limit: usize) -> Result<Page> {
        let (limit, before) = (limit.clamp(1, LARGEST_PAGE), before.unwrap_or(u64::MAX));
        let (mut records, now) = self.read(move |engine, now| engine.page(room, before, limit + 1, now)).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(Page { records, newer: 0, more, now })
    }

    async fn delete(&self, id: MessageId) -> Result<()> {
        let was_alive = self.writer.write(|answer| Write::Delete { id, answer }).await?;
        if was_alive { Ok(()) } else { Err(Error::no_such_message()) }
    }

    async fn set_lifetime(
        &self,
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
    ) -> Result<Stamp> {
        validate(payload.as_deref().unwrap_or_default(), None)?;
        let set = |answer| Write::SetLifetime { id, seen_deadline, remaining, payload, answer };
        self.writer.write(set).await
    }

    async fn claim(&self, id: MessageId, nonce: [u8; 16]) -> Result<Vec<u8>> {
        self.writer.write(|answer| Write::Claim { id, nonce, answer }).await
    }

    async fn rooms(&self) -> Result<Vec<Room>> {
        let shared = self.shared().clone();
        let counted = move |engine: &Engine, now| {
            let _consistent = engine.consistent();
            Ok((engine.hidden(now)?, shared.rooms()))
        };
        let ((hidden, mut rooms), _) = self.read(counted).await?;
        for room in &mut rooms {
            room.live = room.live.saturating_sub(hidden.get(&room.name.id()).copied().unwrap_or(0));
        }
        Ok(rooms)
    }

    async fn put_room(&self, put: PutRoom) -> Result<Room> {
        // Almost always it changes nothing, and then nothing is written.
        let known = self.shared().room(put.name.id());
        if let Some(room) = known
            && put.clone().applied_to(Some(room.clone()))? == room
        {
            return Ok(room);
        }
        self.writer.write(|answer| Write::PutRoom { put, answer }).await
    }

    async fn health(&self, _urgent: bool) -> Result<Health> {
        let watch = Stopwatch::start();
        let ((), now) = self.read(|engine, _| engine.probe()).await?;
        let (version, round_trip) = (VERSION.to_owned(), watch.millis());
        Ok(Health { kind: "sled".to_owned(), version, round_trip, now, findings: Vec::new(), skipped: 0 })
    }

    fn changes(&self) -> Changes {
        changes_of(self.shared().changes.subscribe())
    }
}

#[cfg(test)]
mod tests;
