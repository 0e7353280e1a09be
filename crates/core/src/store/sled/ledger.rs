//! What each write changes: decided from the rows as they are, and applied in one transaction. Called by the writer's
//! thread alone, so that a decision and its change are one step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    engine::{Engine, Kind, Row},
    folder::Lock,
    rows::{self, CHUNK, Claim, Entry, Head, RoomRow, Slot},
    writer::Shared,
};
use crate::{
    clock::Moment,
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
    store::{
        CLAIM_REPEATS, Change, EndedBy, NewRecord, REMEMBERED, ROOM_KEPT, Record, ended, no_such_room,
        seen_by_somebody_else, validate_lifetime,
    },
};

/// Transactions stay short, because sled runs one at a time: a sweep is cut into pieces of about so many rows.
const SWEPT_ROWS: usize = 48;
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
}

/// Rows of one transaction, and the rooms that change with them.
#[derive(Default)]
struct Transaction {
    rows: Vec<Row>,
    rooms: BTreeSet<RoomId>,
}

impl Ledger {
    /// Opens the database and shares it with the readers.
    pub(super) fn open(lock: &Arc<Lock>, shared: Arc<Shared>) -> Result<Self> {
        let engine = Arc::new(lock.open()?);
        let mut rooms = BTreeMap::new();
        for row in engine.room_rows()? {
            shared.set_room(row.room.name.id(), Some(row.clone()));
            rooms.insert(row.room.name.id(), row);
        }
        shared.set_engine(Ok(engine.clone()));
        Ok(Self { last_seq: engine.last_seq(), engine, shared, rooms })
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
        self.shared.set_next_due(next);
        Ok((next, Vec::new()))
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

    fn apply(&mut self, Transaction { mut rows, rooms }: Transaction) -> Result<()> {
        for id in &rooms {
            rows.push(match self.rooms.get(id) {
                Some(row) => Row::put(Kind::Rooms, &id.0, rows::encode(row)?),
                None => Row::remove(Kind::Rooms, &id.0),
            });
        }
        if !rows.is_empty() {
            self.engine.apply(&rows)?;
        }
        for id in rooms {
            self.shared.set_room(id, self.rooms.get(&id).cloned());
        }
        Ok(())
    }
}

impl Transaction {
    /// Head and chunks; answers with how many rows follow the head.
    fn put_message(&mut self, record: &Record) -> Result<u16> {
        let first = record.payload.len().min(CHUNK);
        let mut parts = 0;
        for chunk in record.payload[first..].chunks(CHUNK) {
            parts += 1;
            self.rows.push(Row::put(Kind::Messages, &rows::message(record.room, record.seq, parts), chunk.to_vec()));
        }
        let Record { id, accepted, deadline, once, .. } = *record;
        let head = Head { id, accepted, deadline, once, parts, first: record.payload[..first].to_vec() };
        self.rows.push(Row::put(Kind::Messages, &rows::message(record.room, record.seq, 0), rows::encode(&head)?));
        Ok(parts)
    }

    fn remove_message(&mut self, Slot { room, seq, parts, .. }: Slot) {
        self.rows.extend((0..=parts).map(|part| Row::remove(Kind::Messages, &rows::message(room, seq, part))));
    }

    fn put_once(&mut self, id: MessageId, payload: &[u8]) -> u16 {
        let mut parts = 0;
        for chunk in payload.chunks(CHUNK) {
            parts += 1;
            self.rows.push(Row::put(Kind::Onces, &rows::once(id, parts), chunk.to_vec()));
        }
        parts
    }

    fn remove_once(&mut self, id: MessageId, parts: u16) {
        self.rows.extend((1..=parts).map(|part| Row::remove(Kind::Onces, &rows::once(id, part))));
    }

    fn put_entry(&mut self, id: MessageId, entry: &Entry) -> Result<()> {
        self.rows.push(Row::put(Kind::Ids, id.as_bytes(), rows::encode(entry)?));
        Ok(())
    }

    fn put_due(&mut self, at: Millis, id: MessageId) {
        self.rows.push(Row::put(Kind::Due, &rows::due(at, id), Vec::new()));
    }

    fn remove_due(&mut self, at: Millis, id: MessageId) {
        self.rows.push(Row::remove(Kind::Due, &rows::due(at, id)));
    }

    /// The id is kept, so that a retry does not revive it.
    fn remember(&mut self, id: MessageId, at: Millis, claim: Option<Claim>) -> Result<()> {
        let until = at + REMEMBERED;
        if let Some(claim) = claim {
            self.put_due(claim.until, id);
        }
        self.put_due(until, id);
        self.put_entry(id, &Entry::Dead { until, claim })
    }

    fn forget(&mut self, id: MessageId) {
        self.rows.push(Row::remove(Kind::Ids, id.as_bytes()));
    }
}
