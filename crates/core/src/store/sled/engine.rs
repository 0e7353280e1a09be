//! sled, hardened: opened where a panic is an answer, small caches and values, and a commit that is durable. Reads of
//! rows stand here; what is written, and in what order, is the writer's.

use std::{fs::File, io, path::Path, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use sled::{
    Config, Db, Tree,
    transaction::{ConflictableTransactionError, TransactionError, Transactional},
};

use super::{
    folder::{Lock, damaged, sync},
    rows::{self, Entry, Head, RoomRow, Slot},
};
use crate::{
    error::{Code, Error, Result},
    folders,
    lifetime::Millis,
    message::MessageId,
    room::RoomId,
    store::{LARGEST_PAYLOAD, Record},
};

/// The version of the trees and rows.
const SCHEMA: &[u8] = &[1];
/// sled's cache is no bound; a small one keeps memory small.
const CACHE: u64 = 16 * 1024 * 1024;

/// We hold the folder's lock, so sled's own is at most that of threads of ours which have not ended yet.
const LINGERING: Duration = Duration::from_millis(20);
const LINGERING_TRIES: usize = 250;

/// At this moment something is to be done about this id.
pub(super) type Due = (Millis, MessageId);

/// An open database.
#[derive(Debug)]
pub(super) struct Engine {
    messages: Tree,
    onces: Tree,
    ids: Tree,
    due: Tree,
    rooms: Tree,
    db: Db,
    /// Our own handle of sled's log, for the sync that sled does not make.
    log: File,
    last_seq: u64,
    /// Freed only after sled has closed its files.
    _lock: Arc<Lock>,
}

/// A change of one row, made in a transaction.
#[derive(Debug)]
pub(super) struct Row {
    tree: Kind,
    key: Vec<u8>,
    /// `None` removes it.
    value: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Messages,
    Onces,
    Ids,
    Due,
    Rooms,
}

impl Row {
    pub(super) fn put(tree: Kind, key: &[u8], value: Vec<u8>) -> Self {
        Self { tree, key: key.to_vec(), value: Some(value) }
    }

    pub(super) fn remove(tree: Kind, key: &[u8]) -> Self {
        Self { tree, key: key.to_vec(), value: None }
    }
}

impl Engine {
    /// An empty database where there is none, durable when this returns.
    pub(super) fn create(path: &Path) -> Result<()> {
        let (db, trees) = open_sled(path)?;
        drop(trees);
        db.insert("schema", SCHEMA).and_then(|_| db.flush()).map_err(|error| trouble(&error))?;
        drop(db);
        let made = ["db", "conf"].into_iter().try_for_each(|name| File::open(path.join(name))?.sync_all());
        made.and_then(|()| sync(path)).map_err(|error| folders::trouble(path, &error))
    }

    /// A database that is there. `unsupported` where it is not ours or newer, `corrupt` where it cannot be read.
    pub(super) fn open(path: &Path, lock: Arc<Lock>) -> Result<Self> {
        let (db, [messages, onces, ids, due, rooms]) = open_sled(path)?;
        match db.get("schema").map_err(|error| trouble(&error))? {
            Some(schema) if schema == SCHEMA => {}
            Some(schema) if schema.len() == 1 && schema[0] > SCHEMA[0] => {
                return Err(Error::new(Code::Unsupported, "the store was written by a newer version"));
            }
            // Everything of ours is gone: sled took a damaged log for an empty one.
            None if db.is_empty() && messages.is_empty() && rooms.is_empty() => {
                return Err(damaged("it reads as empty"));
            }
            _ => return Err(Error::new(Code::Unsupported, "the folder holds a database of another program")),
        }
        let log = File::open(path.join("db")).map_err(|error| folders::trouble(path, &error))?;
        let mut engine = Self { messages, onces, ids, due, rooms, db, log, last_seq: 0, _lock: lock };
        engine.last_seq = engine.room_rows().map(|rows| rows.iter().map(|row| row.last_seq).max().unwrap_or(0))?;
        let forgotten = engine.db.get("last_seq").map_err(|error| trouble(&error))?;
        let forgotten = forgotten.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?)));
        engine.last_seq = engine.last_seq.max(forgotten.unwrap_or(0));
        Ok(engine)
    }

    /// The highest seq of any room that is or was there, when it was opened.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Applies changes all or not at all. Not durable before [`Engine::commit`].
    pub(super) fn apply(&self, rows: &[Row]) -> Result<()> {
        let trees = (&self.messages, &self.onces, &self.ids, &self.due, &self.rooms);
        let applied = trees.transaction(|(messages, onces, ids, due, rooms)| {
            for Row { tree, key, value } in rows {
                let tree = match tree {
                    Kind::Messages => messages,
                    Kind::Onces => onces,
                    Kind::Ids => ids,
                    Kind::Due => due,
                    Kind::Rooms => rooms,
                };
                match value {
                    Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
                    None => tree.remove(key.as_slice())?,
                };
            }
            Ok::<_, ConflictableTransactionError<()>>(())
        });
        applied.map_err(|error| match error {
            TransactionError::Storage(error) => trouble(&error),
            TransactionError::Abort(()) => Error::new(Code::Internal, "a transaction was given up"),
        })
    }

    /// Makes everything that was applied durable. sled's own flush ends without a sync on Linux, so a power cut could
    /// take what was acknowledged.
    pub(super) fn commit(&self) -> Result<()> {
        self.db.flush().map_err(|error| trouble(&error))?;
        self.log.sync_all().map_err(|error| folders::trouble(Path::new("db"), &error))
    }

    /// A real read, for a round trip.
    pub(super) fn probe(&self) -> Result<()> {
        self.db.get("schema").map(drop).map_err(|error| trouble(&error))
    }

    /// Keeps the highest seq when the room that knows it is forgotten.
    pub(super) fn keep_last_seq(&self, seq: u64) -> Result<()> {
        self.db.insert("last_seq", &seq.to_be_bytes()).map(drop).map_err(|error| trouble(&error))
    }

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
                None => tracing::warn!("a row that is none of ours is skipped"),
            }
        }
        Ok((due, None))
    }

    /// The record of an id, while it is alive.
    pub(super) fn alive(&self, id: MessageId, now: Millis) -> Result<Option<Record>> {
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
        let (first, last) = (rows::message(room, 0, 0), rows::message(room, before, 0));
        let mut records = Vec::new();
        let mut chunks = Vec::new();
        for row in self.messages.range(first..last).rev() {
            let (key, value) = row.map_err(|error| trouble(&error))?;
            let Some((seq, part)) = rows::seq_and_part(&key) else { continue };
            if part > 0 {
                chunks.push(value);
                continue;
            }
            // Backwards the chunks come before their head, the last first.
            let rest: Vec<_> = std::mem::take(&mut chunks).into_iter().rev().collect();
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

/// sled in a folder, opened on a thread of its own: recovery of a damaged log may panic.
fn open_sled(path: &Path) -> Result<(Db, [Tree; 5])> {
    for _ in 0..LINGERING_TRIES {
        let config = Config::new().path(path).cache_capacity(CACHE);
        let opened = std::thread::spawn(move || {
            let db = config.open()?;
            let trees = ["m", "o", "id", "x", "r"].map(|name| db.open_tree(name));
            let [m, o, id, x, r] = trees;
            Ok((db, [m?, o?, id?, x?, r?]))
        });
        match opened.join() {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(LINGERING);
            }
            Ok(Err(error)) => {
                let error = trouble(&error);
                return Err(if error.code == Code::Full { error } else { damaged(&error.message) });
            }
            Err(_) => return Err(damaged("its log cannot be read")),
        }
    }
    Err(Error::new(Code::InUse, "the store's database is open in a program that is not ours"))
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

/// An error of sled's as one of ours.
fn trouble(error: &sled::Error) -> Error {
    match error {
        sled::Error::Io(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Error::new(Code::Full, "there is no room left on the disk")
        }
        sled::Error::Corruption { .. } => damaged("a part of it cannot be read"),
        other => Error::new(Code::Internal, format!("the embedded store failed: {other}")),
    }
}
