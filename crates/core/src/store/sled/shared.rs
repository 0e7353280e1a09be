//! What the writer, the readers beside it and the sweeper share: the clock, the stream of changes, the open database, and
//! the rooms as they were last applied. Who changes what is the ledger's.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::{Notify, broadcast};

use super::{engine::Engine, rows::RoomRow};
use crate::{
    clock::StoreClock,
    error::{Code, Error, Result},
    room::{Room, RoomId},
    store::Change,
};

/// What the writer and the readers beside it share.
pub(super) struct Shared {
    pub(super) clock: Arc<StoreClock>,
    pub(super) changes: broadcast::Sender<Change>,
    /// The open database, or why there is none for the moment.
    engine: RwLock<Result<Arc<Engine>>>,
    /// The rooms as they were last applied.
    rooms: RwLock<BTreeMap<RoomId, RoomRow>>,
    /// Rung when something is due earlier than the sweeper thinks.
    pub(super) wake: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(clock: Arc<StoreClock>) -> Self {
        Self {
            clock,
            changes: broadcast::Sender::new(1024),
            engine: RwLock::new(Err(Error::new(Code::Internal, "the store is not open yet"))),
            rooms: RwLock::default(),
            wake: Arc::default(),
        }
    }

    pub(super) fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }

    pub(super) fn room(&self, id: RoomId) -> Option<Room> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(|row| row.room.clone())
    }

    /// By name.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let rows = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        let mut rooms: Vec<_> = rows.values().map(|row| row.room.clone()).collect();
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        rooms
    }

    pub(super) fn set_engine(&self, engine: Result<Arc<Engine>>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    pub(super) fn set_rooms(&self, rooms: BTreeMap<RoomId, RoomRow>) {
        *self.rooms.write().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    pub(super) fn set_room(&self, id: RoomId, row: Option<RoomRow>) {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        match row {
            Some(row) => rooms.insert(id, row),
            None => rooms.remove(&id),
        };
    }
}
