//! The rows that one change touches, gathered before they are applied together: which rows a message, its id and its
//! deadline are. Whether a change is made is the ledger's.

use std::collections::BTreeSet;

use super::{
    engine::{Kind, Row},
    rows::{self, CHUNK, Claim, Entry, Head, Slot},
};
use crate::{
    error::Result,
    lifetime::Millis,
    message::MessageId,
    room::RoomId,
    store::{REMEMBERED, Record},
};

/// Rows of one transaction, and the rooms that change with them.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) rows: Vec<Row>,
    pub(super) rooms: BTreeSet<RoomId>,
    /// The earliest moment at which it leaves something to be done.
    pub(super) due: Option<Millis>,
}

impl Transaction {
    /// Head and chunks; answers with how many rows follow the head.
    pub(super) fn put_message(&mut self, record: &Record) -> Result<u16> {
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

    pub(super) fn remove_message(&mut self, Slot { room, seq, parts, .. }: Slot) {
        self.rows.extend((0..=parts).map(|part| Row::remove(Kind::Messages, &rows::message(room, seq, part))));
    }

    pub(super) fn put_once(&mut self, id: MessageId, payload: &[u8]) -> u16 {
        let mut parts = 0;
        for chunk in payload.chunks(CHUNK) {
            parts += 1;
            self.rows.push(Row::put(Kind::Onces, &rows::once(id, parts), chunk.to_vec()));
        }
        parts
    }

    pub(super) fn remove_once(&mut self, id: MessageId, parts: u16) {
        self.rows.extend((1..=parts).map(|part| Row::remove(Kind::Onces, &rows::once(id, part))));
    }

    pub(super) fn put_entry(&mut self, id: MessageId, entry: &Entry) -> Result<()> {
        self.rows.push(Row::put(Kind::Ids, id.as_bytes(), rows::encode(entry)?));
        Ok(())
    }

    pub(super) fn put_due(&mut self, at: Millis, id: MessageId) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        self.rows.push(Row::put(Kind::Due, &rows::due(at, id), Vec::new()));
    }

    pub(super) fn remove_due(&mut self, at: Millis, id: MessageId) {
        self.rows.push(Row::remove(Kind::Due, &rows::due(at, id)));
    }

    /// The id is kept, so that a retry does not revive it.
    pub(super) fn remember(&mut self, id: MessageId, at: Millis, claim: Option<Claim>) -> Result<()> {
        let until = at + REMEMBERED;
        if let Some(claim) = claim {
            self.put_due(claim.until, id);
        }
        self.put_due(until, id);
        self.put_entry(id, &Entry::Dead { until, claim })
    }

    pub(super) fn forget(&mut self, id: MessageId) {
        self.rows.push(Row::remove(Kind::Ids, id.as_bytes()));
    }
}
