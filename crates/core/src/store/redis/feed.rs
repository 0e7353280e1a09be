//! The feed: one connection that blocks in the log and turns its entries, in their order, into changes. Every connection
//! begins with the log's last id and a `Reset`: there is no way to go on from where another connection stopped.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::Value;

use super::{
    fault::Fault,
    pair::Pair,
    reply::{self, Foreign},
    scripts::{self, Call},
    server::Connection,
    session::Session,
};
use crate::{
    error::{Code, Error},
    lifetime::Millis,
    message::MessageId,
    room::RoomId,
    store::{Change, EndedBy, LARGEST_PAYLOAD, Record},
};

/// How long the server holds back an answer when nothing happens, and how much longer it may then take.
const BLOCKING: Millis = 10_000;
pub(super) const ANSWERING: Duration = Duration::from_secs(14);
/// The most entries of one answer.
const ENTRIES: usize = 512;
/// The most bytes of records that are fetched at once.
const FETCHED: usize = 256 * 1024;
/// How often it is checked that no entry was missed, at most, in ms.
const COMPARING: Millis = 1_000;

/// An entry's id, as Redis orders them: milliseconds, and a number within them.
type EntryId = (u64, u64);

pub(super) struct Feed<'a> {
    session: &'a Session,
    pair: &'a Arc<Pair>,
    connection: Connection,
    last: EntryId,
    /// How many entries were ever added to the log, as far as they were read.
    count: u64,
    compared: Millis,
}

/// What an entry says.
enum Entry {
    Saved(MessageId),
    Moved(MessageId),
    Ended(MessageId, EndedBy),
    Room(RoomId),
    /// A filler, or something that is not ours.
    Other,
}

impl<'a> Feed<'a> {
    /// From the log's last entry on.
    pub(super) async fn begin(
        session: &'a Session,
        pair: &'a Arc<Pair>,
        connection: Connection,
    ) -> Result<Self, Fault> {
        let mut feed = Self { session, pair, connection, last: (0, 0), count: 0, compared: session.clock.boot() };
        (feed.last, feed.count) = feed.end_of_log().await?;
        Ok(feed)
    }

    /// Tells the `Reset`, then every change, until the connection or the log breaks.
    pub(super) async fn run(mut self) -> Fault {
        self.session.tell(Change::Reset);
        loop {
            if let Err(fault) = self.step().await {
                return fault;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Fault> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(ENTRIES).arg("BLOCK").arg(BLOCKING).arg("STREAMS");
        read.arg(self.session.target.keys.log()).arg(format!("{}-{}", self.last.0, self.last.1));
        let answer: Value = read.query_async(&mut self.connection.commands).await?;
        self.pair.hear();
        let now = self.session.clock.boot();
        let entries = entries(&answer)?;
        let caught_up = entries.len() < ENTRIES;
        let mut known = Vec::with_capacity(entries.len());
        for (id, entry) in entries {
            self.last = id;
            self.count += 1;
            known.push(entry);
        }
        self.tell(known).await?;
        if caught_up && now.saturating_sub(self.compared) >= COMPARING {
            self.compared = now;
            self.compare().await?;
        }
        Ok(())
    }

    /// Trimming and flushing leave no trace in what is read: only the count shows them.
    async fn compare(&mut self) -> Result<(), Fault> {
        let (last, count) = self.end_of_log().await?;
        if last < self.last || (last == self.last && count != self.count) {
            return Err(Fault::lost("the server's log is another one than before"));
        }
        Ok(())
    }

    async fn end_of_log(&mut self) -> Result<(EntryId, u64), Fault> {
        let mut info = redis::cmd("XINFO");
        info.arg("STREAM").arg(self.session.target.keys.log());
        match info.query_async::<Value>(&mut self.connection.commands).await {
            Ok(info) => {
                let last = reply::named(&info, "last-generated-id").map(entry_id).ok_or_else(reply::unexpected)??;
                let count = reply::named(&info, "entries-added").ok_or_else(reply::unexpected)?;
                Ok((last, reply::number(count)?))
            }
            // Nothing was ever written in this space.
            Err(error) if error.detail().is_some_and(|detail| detail.contains("no such key")) => Ok(((0, 0), 0)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells entries as changes; the records of what was saved are read first, which is never too early.
    async fn tell(&self, entries: Vec<Entry>) -> Result<(), Fault> {
        let wanted: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Saved(id) | Entry::Moved(id) => Some(*id),
                _ => None,
            })
            .collect();
        let mut records = self.fetch(&wanted).await?.into_iter();
        for entry in entries {
            let change = match entry {
                Entry::Saved(_) => records.next().flatten().map(Change::Saved),
                Entry::Moved(id) => {
                    records.next().flatten().map(|Record { deadline, .. }| Change::Moved { id, deadline })
                }
                Entry::Ended(id, by) => Some(Change::Ended { id, by }),
                Entry::Room(room) => self.room(room).await?,
                Entry::Other => None,
            };
            if let Some(change) = change {
                self.session.tell(change);
            }
        }
        Ok(())
    }

    /// The records of these ids, as far as they are alive and ours; in pieces that a slow line can carry in time.
    async fn fetch(&self, ids: &[MessageId]) -> Result<Vec<Option<Record>>, Fault> {
        // Almost always it is one, and then no script is needed.
        if let [id] = ids {
            return Ok(vec![self.fetch_one(*id).await?]);
        }
        let mut records = Vec::with_capacity(ids.len());
        while records.len() < ids.len() {
            let rest = &ids[records.len()..];
            let keys: Vec<_> = rest.iter().map(|id| self.session.target.keys.message(*id)).collect();
            let answer = self.pair.send(&Call::script(&scripts::FETCH, &keys).arg(FETCHED)).await?;
            let values = reply::array(&answer)?;
            if values.is_empty() || values.len() > rest.len() {
                return Err(reply::unexpected().into());
            }
            for (id, value) in rest.iter().zip(values) {
                let value = reply::bytes(value)?;
                records.push(if value.is_empty() { None } else { self.session.record(*id, value).ok() });
            }
        }
        Ok(records)
    }

    async fn fetch_one(&self, id: MessageId) -> Result<Option<Record>, Fault> {
        let call = Call::command("GETRANGE").arg(self.session.target.keys.message(id)).arg(0);
        match self.pair.send(&call.arg(reply::HEADER + LARGEST_PAYLOAD)).await {
            // Somebody made something else of it.
            Err(Fault::Answer(error)) if error.code == Code::Corrupt => Ok(None),
            answer => {
                let answer = answer?;
                let value = reply::bytes(&answer)?;
                Ok(if value.is_empty() { None } else { self.session.record(id, value).ok() })
            }
        }
    }

    async fn room(&self, room: RoomId) -> Result<Option<Change>, Fault> {
        let keys = &self.session.target.keys;
        let call = Call::script(&scripts::ROOMS, &[keys.rooms(), keys.deadlines()]).arg(keys.orders()).arg(&room.0[..]);
        let answer = self.pair.send(&call).await?;
        Ok(reply::rooms(&answer)?.pop().map(Change::Room))
    }
}

impl Session {
    /// The record of a value, or why it is none; that is counted.
    pub(super) fn record(&self, id: MessageId, value: &[u8]) -> Result<Record, Foreign> {
        let record = reply::record(id, value);
        if let Err(foreign) = record {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%id, ?foreign, "a value is skipped");
        }
        record
    }
}

/// The entries of an XREAD's answer; what is not ours counts, and says nothing.
fn entries(answer: &Value) -> Result<Vec<(EntryId, Entry)>, Error> {
    let streams = match answer {
        Value::Nil => return Ok(Vec::new()),
        streams => reply::array(streams)?,
    };
    let [stream] = streams else { return Err(reply::unexpected()) };
    let [_, entries] = reply::array(stream)? else { return Err(reply::unexpected()) };
    let read = |part: &Value| {
        let [id, fields] = reply::array(part)? else { return Err(reply::unexpected()) };
        let entry = match reply::array(fields) {
            Ok([name, value]) if reply::bytes(name).is_ok_and(|name| name == b"e") => {
                reply::bytes(value).map_or(Entry::Other, entry)
            }
            _ => Entry::Other,
        };
        Ok((entry_id(id)?, entry))
    };
    reply::array(entries)?.iter().map(read).collect()
}

fn entry(value: &[u8]) -> Entry {
    let Some((kind, id)) = value.split_first() else { return Entry::Other };
    let Ok(id) = <[u8; 16]>::try_from(id) else { return Entry::Other };
    let message = MessageId::from_bytes(id);
    match kind {
        b's' => Entry::Saved(message),
        b'm' => Entry::Moved(message),
        b'd' => Entry::Ended(message, EndedBy::Deletion),
        b'c' => Entry::Ended(message, EndedBy::Claim),
        b'r' => Entry::Room(RoomId(id)),
        _ => Entry::Other,
    }
}

fn entry_id(value: &Value) -> Result<EntryId, Error> {
    let text = std::str::from_utf8(reply::bytes(value)?).ok();
    let parts = text.and_then(|text| text.split_once('-'));
    parts.and_then(|(ms, n)| Some((ms.parse().ok()?, n.parse().ok()?))).ok_or_else(reply::unexpected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_entries_say_nothing() {
        for value in [&b""[..], b"s", b"s123", b"xAAAAAAAAAAAAAAAA", &[b's'; 40]] {
            assert!(matches!(entry(value), Entry::Other));
        }
        assert!(matches!(entry(b"sAAAAAAAAAAAAAAAA"), Entry::Saved(_)));
        assert!(entries(&Value::Int(1)).is_err() && entries(&Value::Nil).is_ok_and(|entries| entries.is_empty()));
    }
}
