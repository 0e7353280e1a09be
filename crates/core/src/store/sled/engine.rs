//! sled, hardened: opened where a panic is an answer, a small cache, and a commit that is durable. How rows are read is in
//! `reading`; what is written, and in what order, is the writer's.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use sled::{
    Config, Db, Tree,
    transaction::{ConflictableTransactionError, TransactionError, Transactional},
};

use super::{
    folder::{Lock, damaged, sync},
    mark::{self, Mark},
};
use crate::{
    error::{Code, Error, Result},
    folders,
};

/// The version of the trees and rows.
const SCHEMA: &[u8] = &[1];
/// sled's cache is no bound; a small one keeps memory small.
const CACHE: u64 = 16 * 1024 * 1024;

/// We hold the folder's lock, so sled's own is at most that of threads of ours which have not ended yet.
const LINGERING: Duration = Duration::from_millis(20);
const LINGERING_TRIES: usize = 250;

/// An open database.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) messages: Tree,
    pub(super) onces: Tree,
    pub(super) ids: Tree,
    pub(super) due: Tree,
    pub(super) rooms: Tree,
    /// Held by a transaction, and by a read of more than one row, which sees all of a transaction or nothing.
    consistent: RwLock<()>,
    db: Db,
    /// Our own handle of sled's log, for the sync that sled does not make.
    log: File,
    last_seq: u64,
    configuration: u64,
    /// Freed only after sled has closed its files.
    lock: Arc<Lock>,
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
        let (consistent, configuration) = (RwLock::default(), mark::configuration(path));
        let mut engine =
            Self { messages, onces, ids, due, rooms, consistent, db, log, last_seq: 0, configuration, lock };
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

    /// How much is there.
    pub(super) fn mark(&self) -> Mark {
        let Self { last_seq, configuration, .. } = *self;
        let lsn = u64::try_from(self.db.context.pagecache.log.stable_offset()).unwrap_or(0);
        Mark { lsn, outline: 0, last_seq, configuration }
    }

    /// While this is held no transaction is applied.
    pub(super) fn consistent(&self) -> RwLockReadGuard<'_, ()> {
        self.consistent.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies changes all or not at all, and then what goes with them, before anybody reads. Not durable before
    /// [`Engine::commit`].
    pub(super) fn apply(&self, rows: &[Row], then: impl FnOnce()) -> Result<()> {
        let _consistent = self.consistent.write().unwrap_or_else(PoisonError::into_inner);
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
        applied.map(|()| then()).map_err(|error| match error {
            TransactionError::Storage(error) => trouble(&error),
            TransactionError::Abort(()) => Error::new(Code::Internal, "a transaction was given up"),
        })
    }

    /// Makes everything that was applied durable, and notes how much there is. sled's own flush ends without a sync on
    /// Linux, so a power cut could take what was acknowledged.
    pub(super) fn commit(&self, last_seq: u64) -> Result<()> {
        self.db.flush().map_err(|error| trouble(&error))?;
        // Only what was flushed is synced.
        let mark = Mark { last_seq, ..self.mark() };
        self.log.sync_all().map_err(|error| folders::trouble(Path::new("db"), &error))?;
        self.lock.note(mark, false);
        Ok(())
    }

    /// A real read, for a round trip.
    pub(super) fn probe(&self) -> Result<()> {
        self.db.get("schema").map(drop).map_err(|error| trouble(&error))
    }

    /// Keeps the highest seq when the room that knows it is forgotten.
    pub(super) fn keep_last_seq(&self, seq: u64) -> Result<()> {
        self.db.insert("last_seq", &seq.to_be_bytes()).map(drop).map_err(|error| trouble(&error))
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
            Ok(Err(error)) => return Err(trouble(&error)),
            Err(_) => return Err(damaged("its log cannot be read")),
        }
    }
    Err(Error::new(Code::InUse, "the store's database is open in a program that is not ours"))
}

/// An error of sled's as one of ours.
pub(super) fn trouble(error: &sled::Error) -> Error {
    use io::ErrorKind::{InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
    match error {
        sled::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => {
            Error::new(Code::Full, "there is no room left on the disk")
        }
        sled::Error::Io(error) if matches!(error.kind(), UnexpectedEof | InvalidData) => {
            damaged("a part of it is missing")
        }
        sled::Error::Corruption { .. } | sled::Error::Unsupported(_) => damaged("a part of it cannot be read"),
        other => Error::new(Code::Internal, format!("the embedded store failed: {other}")),
    }
}
