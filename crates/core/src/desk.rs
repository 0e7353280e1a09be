//! What operations and subscriptions share: the store, its rooms' names, its clock as far as it is known, and how its
//! records become messages.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    api::Messages,
    clock::StoreTime,
    error::{Code, Error, Result},
    lifetime::Millis,
    markup,
    message::{Message, Payload},
    room::{PutRoom, Room, RoomId, RoomName},
    settings::SettingsFile,
    store::{Page, Record, Store},
};

/// What operations and subscriptions share: the store, and how its records become messages.
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    /// The store's clock, as far as it is known between two answers.
    pub(crate) time: StoreTime,
    pub(crate) settings: SettingsFile,
    rooms: Mutex<HashMap<RoomId, Room>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk {{ store: {:?}, .. }}", self.store)
    }
}

impl Desk {
    pub(crate) fn new(store: Arc<dyn Store>, settings: SettingsFile, time: StoreTime) -> Self {
        Self { store, time, settings, rooms: Mutex::default() }
    }

    /// A record as a message, where it is alive and can be read.
    pub(crate) async fn read(&self, record: Record, now: Millis) -> Result<Message> {
        if record.deadline <= now {
            return Err(Error::no_such_message());
        }
        let payload = Payload::decode(&record.payload)?;
        Ok(Message {
            id: record.id,
            room: self.name_of(record.room).await?,
            author: payload.author,
            mine: payload.device == self.settings.author().device,
            pieces: markup::pieces(&payload.text),
            message: payload.text,
            once: record.once,
            seq: record.seq,
            accepted: record.accepted,
            deadline: record.deadline,
            expires_in: record.deadline - now,
        })
    }

    /// A page as messages, in order of acceptance; what cannot be read is skipped, so that it never hides the rest.
    pub(crate) async fn read_page(&self, page: Page) -> Messages {
        let (mut messages, mut newer) = (Vec::with_capacity(page.records.len()), page.newer);
        for record in page.records.into_iter().rev() {
            let id = record.id;
            match self.read(record, page.now).await {
                Ok(message) => messages.push(message),
                Err(error) if error.code == Code::Unsupported => newer += 1,
                Err(error) => tracing::warn!(%id, %error, "a message is skipped"),
            }
        }
        Messages { messages, newer, more: page.more, now: page.now }
    }

    /// A page of a room, older than `before` where it is given.
    pub(crate) async fn page(&self, room: &RoomName, before: Option<u64>, limit: usize) -> Result<Messages> {
        let asked = self.time.asked();
        let page = self.store.page(room.id(), before, limit).await?;
        self.time.sample(page.now, asked);
        Ok(self.read_page(page).await)
    }

    /// The store's now, for judging this deadline: known well enough while it is ahead, else asked for. What is known
    /// may be wrong for some seconds after the store's clock was stepped.
    pub(crate) async fn now_for(&self, deadline: Millis) -> Result<Millis> {
        if self.time.now() >= deadline {
            self.now().await?;
        }
        Ok(self.time.now())
    }

    /// The store's now, asked for.
    pub(crate) async fn now(&self) -> Result<Millis> {
        let asked = self.time.asked();
        let now = self.store.health(false).await?.now;
        self.time.sample(now, asked);
        Ok(now)
    }

    /// The rooms as the store has them. Sees to it that the lobby and the settings' room are among them.
    pub(crate) async fn rooms(&self) -> Result<Vec<Room>> {
        let mut rooms = self.store.rooms().await?;
        for name in [RoomName::lobby(), self.settings.settings().room] {
            if let Err(place) = rooms.binary_search_by(|room| room.name.cmp(&name)) {
                rooms.insert(place, self.store.put_room(PutRoom::ensure(name)).await?);
            }
        }
        for room in &rooms {
            self.note(room.clone());
        }
        Ok(rooms)
    }

    /// Remembers a room, so that its name can be told from its id.
    pub(crate) fn note(&self, room: Room) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).insert(room.name.id(), room);
    }

    async fn name_of(&self, id: RoomId) -> Result<RoomName> {
        match self.known(id) {
            Some(room) => Ok(room.name),
            None => {
                self.rooms().await?;
                let unknown = || Error::new(Code::Corrupt, "a message is in a room that nobody knows");
                self.known(id).map(|room| room.name).ok_or_else(unknown)
            }
        }
    }

    /// The room as it was last seen.
    pub(crate) fn known(&self, id: RoomId) -> Option<Room> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The room, created if there is none.
    pub(crate) async fn ensure(&self, name: &RoomName) -> Result<Room> {
        let room = self.store.put_room(PutRoom::ensure(name.clone())).await?;
        self.note(room.clone());
        Ok(room)
    }
}
