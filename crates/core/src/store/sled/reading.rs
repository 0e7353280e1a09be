//! How rows are read: one message, a page, what is due, the rooms. What cannot be read is skipped and said, so that it
//! never hides the rest; never its content.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sled::Tree;

use super::{
    engine::{Engine, trouble},
    folder::damaged,
    rows::{self, Entry, Head, RoomRow, Slot},
};
use crate::{
    error::Result,
    lifetime::Millis,
    message::MessageId,
    room::RoomId,
    store::{LARGEST_PAYLOAD, Record},
};

/// At this moment something is to be done about this id.
pub(super) type Due = (Millis, MessageId);

impl Engine {
    pub(super) fn entry(&self, id: MessageId) -> Result<Option<Entry>> {
        read(&self.ids, id.as_bytes())
    }

    /// The rooms; a row that cannot be read is skipped.
    pub(super) fn room_rows(&self) -> Result<Vec<RoomRow>> {
        let mut rooms = Vec::new();
        for row in &self.rooms {
            let (_, value) = row.map_err(|error| trouble(&error))?;
            match rows::decode(&value) {
                Ok(row) => rooms.push(row),
                Err(error) => tracing::warn!(%error, "a room is skipped"),
            }
        }
        Ok(rooms)
    }

    /// What is to be done by this moment, the earliest first, and the moment after that.
    pub(super) fn due(&self, until: Millis, most: usize) -> Result<(Vec<Due>, Option<Millis>)> {
        let mut due = Vec::new();
        for row in &self.due {
            let (key, _) = row.map_err(|error| trouble(&error))?;
            match rows::moment_and_id(&key) {
                Some((at, id)) if at <= until && due.len() < most => due.push((at, id)),
                Some((at, _)) => return Ok((due, Some(at))),
                // Said quietly: the sweeper comes past it again and again.
                None => tracing::debug!("a row that is none of ours is skipped"),
            }
        }
        Ok((due, None))
    }

    /// How many messages have ended by now and are not yet swept, room by room: few, but after a step of the clock.
    pub(super) fn hidden(&self, now: Millis) -> Result<BTreeMap<RoomId, u64>> {
        let mut hidden = BTreeMap::new();
        for row in &self.due {
            let (key, _) = row.map_err(|error| trouble(&error))?;
            let Some((at, id)) = rows::moment_and_id(&key) else { continue };
            if at > now {
                break;
            }
            match self.entry(id) {
                Ok(Some(Entry::Alive(slot))) if slot.deadline == at => *hidden.entry(slot.room).or_default() += 1,
                _ => {}
            }
        }
        Ok(hidden)
    }

    /// The record of an id, while it is alive.
    pub(super) fn alive(&self, id: MessageId, now: Millis) -> Result<Option<Record>> {
        let _consistent = self.consistent();
        match self.entry(id)? {
            Some(Entry::Alive(slot)) if slot.deadline > now => self.record(id, slot).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn record(&self, id: MessageId, Slot { room, seq, parts, .. }: Slot) -> Result<Record> {
        let head: Head =
            read(&self.messages, &rows::message(room, seq, 0))?.ok_or_else(|| damaged("a message has no head"))?;
        let rest = chunks(&self.messages, (1..=parts).map(|part| rows::message(room, seq, part)))?;
        let Head { accepted, deadline, once, first, .. } = head;
        Ok(Record { id, room, seq, accepted, deadline, once, payload: [first, rest].concat() })
    }

    /// The other payload of a message to be seen once.
    pub(super) fn once(&self, id: MessageId, parts: u16) -> Result<Vec<u8>> {
        chunks(&self.onces, (1..=parts).map(|part| rows::once(id, part)))
    }

    /// Up to `limit` living records of a room, newest first: goes back from `before`, past what has ended. What cannot
    /// be read is skipped, so that it never hides the rest.
    pub(super) fn page(&self, room: RoomId, before: u64, limit: usize, now: Millis) -> Result<Vec<Record>> {
        let _consistent = self.consistent();
        let (first, last) = (rows::message(room, 0, 0), rows::message(room, before, 0));
        let mut records = Vec::new();
        let mut chunks = Vec::new();
        for row in self.messages.range(first..last).rev() {
            let (key, value) = row.map_err(|error| trouble(&error))?;
            let Some((seq, part)) = rows::seq_and_part(&key) else { continue };
            if part > 0 {
                chunks.push((seq, value));
                continue;
            }
            // Backwards the chunks come before their head, the last first.
            let rest = std::mem::take(&mut chunks).into_iter().rev();
            let rest: Vec<_> = rest.filter(|(of, _)| *of == seq).map(|(_, value)| value).collect();
            match rows::decode::<Head>(&value) {
                Ok(head) if head.deadline <= now => {}
                Ok(Head { id, accepted, deadline, once, parts, first }) if rest.len() == usize::from(parts) => {
                    let payload = [first, rest.concat()].concat();
                    records.push(Record { id, room, seq, accepted, deadline, once, payload });
                }
                _ => tracing::warn!(seq, "a message is skipped"),
            }
            if records.len() == limit {
                break;
            }
        }
        Ok(records)
    }
}

fn read<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>> {
    tree.get(key).map_err(|error| trouble(&error))?.map(|value| rows::decode(&value)).transpose()
}

fn chunks<K: AsRef<[u8]>>(tree: &Tree, keys: impl Iterator<Item = K>) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    for key in keys {
        let chunk = tree.get(key).map_err(|error| trouble(&error))?.ok_or_else(|| damaged("a message is not whole"))?;
        payload.extend_from_slice(&chunk);
        if payload.len() > LARGEST_PAYLOAD {
            return Err(damaged("a message is too long"));
        }
    }
    Ok(payload)
}
