//! What each write changes: decided from the rows as they are, and applied in one transaction. Called by the writer's
//! thread alone, so that a decision and its change are one step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    engine::{Engine, Kind, Row},
    folder::Lock,
    mark::Mark,
    rows::{self, Claim, Entry, RoomRow, Slot},
    shared::Shared,
    transaction::Transaction,
};
use crate::{
    clock::Moment,
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
    store::{
        CLAIM_REPEATS, Change, EndedBy, NewRecord, ROOM_KEPT, Record, ended, no_such_room, seen_by_somebody_else,
        validate_lifetime,
    },
};

/// Transactions stay short, because sled runs one at a time: a sweep is cut into pieces of about so many rows.
const SWEPT_ROWS: usize = 40;
/// The most that one sweep does before other writes have their turn.
const SWEPT: usize = 256;

/// What a write answers, and what it changed.
type Done<T> = Result<(T, Vec<Change>)>;

/// The rows, and who may change them.
pub(super) struct Ledger {
    pub(super) engine: Arc<Engine>,
    pub(super) shared: Arc<Shared>,
    rooms: BTreeMap<RoomId, RoomRow>,
    last_seq: u64,
    /// The earliest moment at which something is to be done, as far as is known.
    next_due: Millis,
    /// What the sweeper waits for.
    awaited: Millis,
}

impl Ledger {
    /// Opens the database and shares it with the readers.
    pub(super) fn open(lock: &Arc<Lock>, shared: Arc<Shared>) -> Result<Self> {
        let engine = Arc::new(lock.open()?);
        let rows = engine.room_rows()?.into_iter();
        let rooms: BTreeMap<_, _> = rows.map(|row| (row.room.name.id(), row)).collect();
        // All of them anew: one that was never durable is none.
        shared.set_rooms(rooms.clone());
        shared.set_engine(Ok(engine.clone()));
        // The sweeper looks first, and then knows what it waits for.
        shared.wake.notify_one();
        Ok(Self { last_seq: engine.last_seq(), engine, shared, rooms, next_due: 0, awaited: 0 })
    }

    /// Makes everything that was applied durable.
    pub(super) fn commit(&self) -> Result<()> {
        self.engine.commit(self.last_seq)
    }

    /// How much there is.
    pub(super) fn mark(&self) -> Mark {
        Mark { last_seq: self.last_seq, ..self.engine.mark() }
    }

    /// Wakes the sweeper for what is to be done earlier than it thinks.
    pub(super) fn wake_sweeper(&mut self) {
        if self.next_due < self.awaited {
            self.awaited = self.next_due;
            self.shared.wake.notify_one();
        }
    }

    pub(super) fn save(&mut self, new: NewRecord) -> Done<Stamp> {
        let Moment { now, .. } = self.shared.clock.read();
        match self.engine.entry(new.id)? {
            Some(Entry::Alive(slot)) if slot.deadline > now => {
                return Ok((self.engine.record(new.id, slot)?.stamp(now), Vec::new()));
            }
            Some(_) => return Err(ended()),
            None => {}
        }
        if new.not_after.is_some_and(|last| now > last) {
            return Err(ended());
        }
        let row = self.rooms.get_mut(&new.room).ok_or_else(no_such_room)?;
        validate_lifetime(new.lifetime, &row.room)?;
        let seq = (now * 1024).max(self.last_seq + 1);
        row.room.live += 1;
        (row.last_seq, row.last_activity) = (seq, now);
        let record = Record {
            id: new.id,
            room: new.room,
            seq,
            accepted: now,
            deadline: now + new.lifetime.millis(),
            once: new.once.is_some(),
            payload: new.payload,
        };
        let mut transaction = Transaction::default();
        let parts = transaction.put_message(&record)?;
        let once_parts = new.once.map(|payload| transaction.put_once(record.id, &payload));
        let slot = Slot { room: record.room, seq, deadline: record.deadline, parts, once_parts };
        transaction.put_entry(record.id, &Entry::Alive(slot))?;
        transaction.put_due(record.deadline, record.id);
        transaction.rooms.insert(record.room);
        self.apply(transaction)?;
        self.last_seq = seq;
        Ok((record.stamp(now), vec![Change::Saved(record)]))
    }

    /// Answers whether the message was alive; what was hidden, or is still under way, is ended all the same.
    pub(super) fn delete(&mut self, id: MessageId) -> Done<bool> {
        let Moment { now, .. } = self.shared.clock.read();
        let mut transaction = Transaction::default();
        let alive = match self.engine.entry(id)? {
            Some(Entry::Dead { .. }) => return Ok((false, Vec::new())),
            Some(Entry::Alive(slot)) => {
                self.end(&mut transaction, id, slot, now, None)?;
                slot.deadline > now
            }
            None => {
                transaction.remember(id, now, None)?;
                false
            }
        };
        self.apply(transaction)?;
        Ok((alive, vec![Change::Ended { id, by: EndedBy::Deletion }]))
    }

    pub(super) fn set_lifetime(
        &mut self,
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
    ) -> Done<Stamp> {
        let Moment { now, .. } = self.shared.clock.read();
        let slot = match self.engine.entry(id)? {
            Some(Entry::Alive(slot)) if slot.deadline > now => slot,
            _ => return Err(Error::no_such_message()),
        };
        if slot.deadline != seen_deadline {
            return Err(Error::new(Code::Taken, "its lifetime has been changed meanwhile"));
        }
        let mut record = self.engine.record(id, slot)?;
        let room = &self.rooms.get(&slot.room).ok_or_else(no_such_room)?.room;
        record.deadline = now + remaining.millis();
        if record.deadline > record.accepted + room.longest.millis() {
            return Err(Error::new(Code::OutOfRange, format!("a message lives at most {} in this room", room.longest)));
        }
        record.payload = payload.unwrap_or(record.payload);
        let mut transaction = Transaction::default();
        transaction.remove_message(slot);
        transaction.remove_due(slot.deadline, id);
        let parts = transaction.put_message(&record)?;
        transaction.put_entry(id, &Entry::Alive(Slot { deadline: record.deadline, parts, ..slot }))?;
        transaction.put_due(record.deadline, id);
        self.apply(transaction)?;
        Ok((record.stamp(now), vec![Change::Moved { id, deadline: record.deadline }]))
    }

    pub(super) fn claim(&mut self, id: MessageId, nonce: [u8; 16]) -> Done<Vec<u8>> {
        let Moment { now, .. } = self.shared.clock.read();
        let slot = match self.engine.entry(id)? {
            Some(Entry::Alive(slot)) if slot.deadline > now => slot,
            Some(Entry::Dead { claim: Some(claim), .. }) => {
                if claim.nonce != nonce || now >= claim.until {
                    return Err(seen_by_somebody_else());
                }
                return Ok((self.engine.once(id, claim.once_parts)?, Vec::new()));
            }
            _ => return Err(Error::no_such_message()),
        };
        let Some(once_parts) = slot.once_parts else {
            return Err(Error::new(Code::Invalid, "this message is not to be seen once"));
        };
        let payload = self.engine.once(id, once_parts)?;
        let mut transaction = Transaction::default();
        self.end(&mut transaction, id, slot, now, Some(Claim { nonce, until: now + CLAIM_REPEATS, once_parts }))?;
        self.apply(transaction)?;
        Ok((payload, vec![Change::Ended { id, by: EndedBy::Claim }]))
    }

    pub(super) fn put_room(&mut self, put: PutRoom) -> Done<Room> {
        let Moment { now, .. } = self.shared.clock.read();
        let id = put.name.id();
        let before = self.rooms.get(&id);
        let room = put.applied_to(before.map(|row| row.room.clone()))?;
        if before.is_some_and(|row| row.room == room) {
            return Ok((room, Vec::new()));
        }
        let last_seq = before.map_or(0, |row| row.last_seq);
        self.rooms.insert(id, RoomRow { room: room.clone(), last_seq, last_activity: now });
        self.apply(Transaction { rooms: BTreeSet::from([id]), ..Transaction::default() })?;
        Ok((room.clone(), vec![Change::Room(room)]))
    }

    /// Takes away what is due by `steady`; answers with what is due next. Nobody is told: expiry does not travel.
    pub(super) fn sweep(&mut self, moment: Moment) -> Done<Option<Millis>> {
        let (due, next) = self.engine.due(moment.steady, SWEPT)?;
        self.next_due = next.unwrap_or(Millis::MAX);
        let mut transaction = Transaction::default();
        let mut touched = BTreeSet::new();
        for (at, id) in due {
            // An id's rows are read as they are applied, so it comes once in a transaction.
            if transaction.rows.len() >= SWEPT_ROWS || !touched.insert(id) {
                self.apply(std::mem::take(&mut transaction))?;
                touched = BTreeSet::from([id]);
            }
            transaction.remove_due(at, id);
            match self.engine.entry(id) {
                Ok(Some(Entry::Alive(slot))) if slot.deadline == at => {
                    self.end(&mut transaction, id, slot, at, None)?
                }
                Ok(Some(Entry::Dead { until, .. })) if until == at => transaction.forget(id),
                Ok(Some(Entry::Dead { until, claim: Some(claim) })) if claim.until == at => {
                    transaction.remove_once(id, claim.once_parts);
                    let claim = Some(Claim { once_parts: 0, ..claim });
                    transaction.put_entry(id, &Entry::Dead { until, claim })?;
                }
                Ok(_) => {}
                Err(error) if error.code == Code::Corrupt => tracing::warn!(%id, "what is due cannot be read"),
                Err(error) => return Err(error),
            }
        }
        self.apply(transaction)?;
        self.forget_rooms(moment.steady)?;
        self.awaited = self.next_due;
        Ok(((self.next_due < Millis::MAX).then_some(self.next_due), Vec::new()))
    }

    /// Rooms that nobody has used for 30 days.
    fn forget_rooms(&mut self, now: Millis) -> Result<()> {
        let unused = |row: &RoomRow| row.room.live == 0 && row.last_activity + ROOM_KEPT <= now;
        let forgotten: Vec<_> = self.rooms.iter().filter(|(_, row)| unused(row)).map(|(id, _)| *id).collect();
        if forgotten.is_empty() {
            return Ok(());
        }
        self.engine.keep_last_seq(self.last_seq)?;
        self.rooms.retain(|id, _| !forgotten.contains(id));
        self.apply(Transaction { rooms: forgotten.into_iter().collect(), ..Transaction::default() })
    }

    /// The rows of a message go, its id is remembered.
    fn end(
        &mut self,
        transaction: &mut Transaction,
        id: MessageId,
        slot: Slot,
        at: Millis,
        claim: Option<Claim>,
    ) -> Result<()> {
        transaction.remove_message(slot);
        transaction.remove_due(slot.deadline, id);
        if claim.is_none() {
            transaction.remove_once(id, slot.once_parts.unwrap_or(0));
        }
        if let Some(row) = self.rooms.get_mut(&slot.room) {
            row.room.live = row.room.live.saturating_sub(1);
            transaction.rooms.insert(slot.room);
        }
        transaction.remember(id, at, claim)
    }

    fn apply(&mut self, Transaction { mut rows, rooms, due }: Transaction) -> Result<()> {
        for id in &rooms {
            rows.push(match self.rooms.get(id) {
                Some(row) => Row::put(Kind::Rooms, &id.0, rows::encode(row)?),
                None => Row::remove(Kind::Rooms, &id.0),
            });
        }
        if !rows.is_empty() {
            let (shared, kept) = (&self.shared, &self.rooms);
            self.engine.apply(&rows, || rooms.iter().for_each(|id| shared.set_room(*id, kept.get(id).cloned())))?;
        }
        self.next_due = due.map_or(self.next_due, |due| due.min(self.next_due));
        Ok(())
    }
}
