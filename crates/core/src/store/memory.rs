//! The reference implementation: everything in this process's memory, one lock, no durability. What a store must do can
//! be read here without the noise of an engine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};

use super::{
    CLAIM_REPEATS, Change, Changes, EndedBy, Health, LARGEST_PAGE, NewRecord, Page, REMEMBERED, ROOM_KEPT, Record,
    Store, changes_of, ended, no_such_room, seen_by_somebody_else,
    sweeper::{self, Sweep},
    validate, validate_lifetime,
};
use crate::{
    clock::{Clock, Moment, Stopwatch, StoreClock},
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
};

/// A store in this process's memory.
pub struct MemoryStore {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
}

struct Shared {
    clock: Arc<StoreClock>,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct State {
    last_seq: u64,
    rooms: HashMap<RoomId, Kept>,
    messages: HashMap<MessageId, Entry>,
    /// Order of acceptance, room by room.
    order: BTreeMap<(RoomId, u64), MessageId>,
    deadlines: BTreeSet<(Millis, MessageId)>,
    dead: HashMap<MessageId, Dead>,
    forgotten: BTreeSet<(Millis, MessageId)>,
}

struct Kept {
    room: Room,
    last_activity: Millis,
}

struct Entry {
    record: Record,
    once: Option<Vec<u8>>,
}

/// An id that ended, remembered so that a retry does not revive it.
struct Dead {
    claim: Option<Claim>,
}

struct Claim {
    nonce: [u8; 16],
    /// `None` once nobody may repeat the claim.
    payload: Option<Vec<u8>>,
    until: Millis,
}

impl MemoryStore {
    /// An empty store; must be called inside a tokio runtime, where its sweeper runs until it is dropped.
    pub fn open(clock: Arc<dyn Clock>) -> Self {
        let clock = Arc::new(StoreClock::new(clock));
        let shared =
            Arc::new(Shared { clock: clock.clone(), state: Mutex::default(), changes: broadcast::Sender::new(1024) });
        let wake = Arc::new(Notify::new());
        tokio::spawn(sweeper::run(Arc::downgrade(&shared), clock, wake.clone()));
        Self { shared, wake }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }
}

impl Sweep for Shared {
    async fn sweep(&self, moment: Moment) -> Option<Millis> {
        let mut state = self.state();
        while let Some(&(deadline, id)) = state.deadlines.first()
            && deadline <= moment.steady
        {
            state.end(id, deadline, None);
        }
        state.forget(moment.steady);
        let next = [state.deadlines.first(), state.forgotten.first()].into_iter().flatten().map(|(at, _)| *at).min();
        next.map(|next| state.next_claim_end().map_or(next, |claim| claim.min(next)))
    }

    fn stepped(&self) {
        self.tell(Change::Reset);
    }
}

impl State {
    fn alive(&self, id: MessageId, now: Millis) -> Result<&Entry> {
        self.messages.get(&id).filter(|entry| entry.record.deadline > now).ok_or_else(Error::no_such_message)
    }

    /// Takes a message away and remembers its id.
    fn end(&mut self, id: MessageId, at: Millis, claim: Option<Claim>) {
        if let Some(Entry { record, .. }) = self.messages.remove(&id) {
            self.order.remove(&(record.room, record.seq));
            self.deadlines.remove(&(record.deadline, id));
        }
        self.dead.insert(id, Dead { claim });
        self.forgotten.insert((at + REMEMBERED, id));
    }

    /// Drops ids that no retry can bring any more, and claimed payloads that nobody may repeat.
    fn forget(&mut self, now: Millis) {
        while let Some(&(at, id)) = self.forgotten.first()
            && at <= now
        {
            self.forgotten.remove(&(at, id));
            self.dead.remove(&id);
        }
        for claim in self.dead.values_mut().filter_map(|dead| dead.claim.as_mut()) {
            if claim.until <= now {
                claim.payload = None;
            }
        }
    }

    fn next_claim_end(&self) -> Option<Millis> {
        let claims = self.dead.values().filter_map(|dead| dead.claim.as_ref());
        claims.filter(|claim| claim.payload.is_some()).map(|claim| claim.until).min()
    }

    fn live(&self, room: RoomId, now: Millis) -> u64 {
        let ids = self.order.range((room, 0)..=(room, u64::MAX)).map(|(_, id)| *id);
        ids.filter(|id| self.alive(*id, now).is_ok()).count() as u64
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn save(&self, new: NewRecord) -> Result<Stamp> {
        validate(&new.payload, new.once.as_deref())?;
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        if let Some(entry) = state.messages.get(&new.id) {
            return if entry.record.deadline > now { Ok(entry.record.stamp(now)) } else { Err(ended()) };
        }
        if state.dead.contains_key(&new.id) || new.not_after.is_some_and(|last| now > last) {
            return Err(ended());
        }
        let seq = (now * 1024).max(state.last_seq + 1);
        let kept = state.rooms.get_mut(&new.room).ok_or_else(no_such_room)?;
        validate_lifetime(new.lifetime, &kept.room)?;
        kept.last_activity = now;
        let record = Record {
            id: new.id,
            room: new.room,
            seq,
            accepted: now,
            deadline: now + new.lifetime.millis(),
            once: new.once.is_some(),
            payload: new.payload,
        };
        let earlier = state.deadlines.first().is_none_or(|(first, _)| record.deadline < *first);
        state.last_seq = seq;
        state.order.insert((record.room, seq), record.id);
        state.deadlines.insert((record.deadline, record.id));
        state.messages.insert(record.id, Entry { record: record.clone(), once: new.once });
        let stamp = record.stamp(now);
        // Told under the lock, so that changes leave in the order in which they were made.
        self.shared.tell(Change::Saved(record));
        if earlier {
            self.wake.notify_one();
        }
        Ok(stamp)
    }

    async fn get(&self, id: MessageId) -> Result<Record> {
        let Moment { now, .. } = self.shared.clock.read();
        self.shared.state().alive(id, now).map(|entry| entry.record.clone())
    }

    async fn page(&self, room: RoomId, before: Option<u64>, limit: usize) -> Result<Page> {
        let Moment { now, .. } = self.shared.clock.read();
        let state = self.shared.state();
        let limit = limit.clamp(1, LARGEST_PAGE);
        let order = state.order.range((room, 0)..(room, before.unwrap_or(u64::MAX))).rev();
        let alive = order.filter_map(|(_, id)| state.alive(*id, now).ok());
        let mut records: Vec<_> = alive.take(limit + 1).map(|entry| entry.record.clone()).collect();
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(Page { records, newer: 0, more, now })
    }

    async fn delete(&self, id: MessageId) -> Result<()> {
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        let alive = state.alive(id, now).map(drop);
        if !state.dead.contains_key(&id) {
            state.end(id, now, None);
            self.shared.tell(Change::Ended { id, by: EndedBy::Deletion });
        }
        alive
    }

    async fn set_lifetime(
        &self,
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
    ) -> Result<Stamp> {
        validate(payload.as_deref().unwrap_or_default(), None)?;
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        let state = &mut *state;
        let entry = state.messages.get_mut(&id).filter(|entry| entry.record.deadline > now);
        let record = &mut entry.ok_or_else(Error::no_such_message)?.record;
        if record.deadline != seen_deadline {
            return Err(Error::new(Code::Taken, "its lifetime has been changed meanwhile"));
        }
        let room = &state.rooms.get(&record.room).ok_or_else(no_such_room)?.room;
        let deadline = now + remaining.millis();
        if deadline > record.accepted + room.longest.millis() {
            return Err(Error::new(Code::OutOfRange, format!("a message lives at most {} in this room", room.longest)));
        }
        state.deadlines.remove(&(record.deadline, id));
        state.deadlines.insert((deadline, id));
        record.deadline = deadline;
        if let Some(payload) = payload {
            record.payload = payload;
        }
        self.shared.tell(Change::Moved { id, deadline });
        self.wake.notify_one();
        Ok(record.stamp(now))
    }

    async fn claim(&self, id: MessageId, nonce: [u8; 16]) -> Result<Vec<u8>> {
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        if let Some(claim) = state.dead.get(&id).and_then(|dead| dead.claim.as_ref()) {
            let repeated = claim.nonce == nonce && now < claim.until;
            return claim.payload.clone().filter(|_| repeated).ok_or_else(seen_by_somebody_else);
        }
        let Some(payload) = state.alive(id, now)?.once.clone() else {
            return Err(Error::new(Code::Invalid, "this message is not to be seen once"));
        };
        let claim = Claim { nonce, payload: Some(payload.clone()), until: now + CLAIM_REPEATS };
        state.end(id, now, Some(claim));
        self.shared.tell(Change::Ended { id, by: EndedBy::Claim });
        self.wake.notify_one();
        Ok(payload)
    }

    async fn rooms(&self) -> Result<Vec<Room>> {
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        let occupied: BTreeSet<RoomId> = state.order.keys().map(|(room, _)| *room).collect();
        state.rooms.retain(|id, kept| kept.last_activity + ROOM_KEPT > now || occupied.contains(id));
        let counted = state.rooms.iter().map(|(id, kept)| Room { live: state.live(*id, now), ..kept.room.clone() });
        let mut rooms: Vec<_> = counted.collect();
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rooms)
    }

    async fn put_room(&self, put: PutRoom) -> Result<Room> {
        let Moment { now, .. } = self.shared.clock.read();
        let mut state = self.shared.state();
        let id = put.name.id();
        let before = state.rooms.get(&id).map(|kept| kept.room.clone());
        let room = put.applied_to(before.clone())?;
        let told = Room { live: state.live(id, now), ..room.clone() };
        if before.as_ref() != Some(&room) {
            state.rooms.insert(id, Kept { room, last_activity: now });
            self.shared.tell(Change::Room(told.clone()));
        }
        Ok(told)
    }

    async fn health(&self, _urgent: bool) -> Result<Health> {
        let watch = Stopwatch::start();
        let now = self.shared.clock.read().now;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let round_trip = watch.millis();
        Ok(Health { kind: "memory".to_owned(), version, round_trip, now, findings: Vec::new(), skipped: 0 })
    }

    fn changes(&self) -> Changes {
        changes_of(self.shared.changes.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::TestClock,
        store::contract::{Subject, Unswept},
    };

    async fn open() -> Subject {
        let clock = Arc::new(TestClock::default());
        let store = Arc::new(MemoryStore::open(clock.clone()));
        let shared = store.shared.clone();
        let unswept = Unswept(Box::new(move || shared.state().messages.len() as u64));
        Subject { store, clock, unswept, keep: Box::new(()) }
    }

    crate::store_contract!(own_clock: open());
}
