//! The one thread that writes. It takes what waits as a group, decides and applies each write in order, makes the group
//! durable once, then tells the changes and answers. A disk that is full ends the database, not the store: writes are
//! refused, and it is opened again when there is room.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{Semaphore, broadcast, oneshot};

use super::{engine::Engine, folder::Lock, ledger::Ledger, rows::RoomRow};
use crate::{
    clock::{Moment, Stopwatch, StoreClock},
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
    store::{Change, NewRecord},
};

/// The most writes of one group.
const LARGEST_GROUP: usize = 512;
/// The most callers that wait for the writer at once; more wait to wait.
const WAITING: usize = 4 * LARGEST_GROUP;
/// How soon, and how late at most, a database that failed is opened again.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

type Answer<T> = oneshot::Sender<Result<T>>;

/// What the writer is asked to do.
pub(super) enum Write {
    Save {
        new: NewRecord,
        answer: Answer<Stamp>,
    },
    Delete {
        id: MessageId,
        answer: Answer<bool>,
    },
    SetLifetime {
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
        answer: Answer<Stamp>,
    },
    Claim {
        id: MessageId,
        nonce: [u8; 16],
        answer: Answer<Vec<u8>>,
    },
    PutRoom {
        put: PutRoom,
        answer: Answer<Room>,
    },
    Sweep {
        moment: Moment,
        answer: Answer<Option<Millis>>,
    },
    Close,
}

/// What the writer and the readers beside it share.
pub(super) struct Shared {
    pub(super) clock: Arc<StoreClock>,
    pub(super) changes: broadcast::Sender<Change>,
    /// The open database, or why there is none for the moment.
    engine: RwLock<Result<Arc<Engine>>>,
    /// The rooms as they were last applied.
    rooms: RwLock<BTreeMap<RoomId, RoomRow>>,
    /// What the sweeper waits for.
    next_due: AtomicU64,
}

impl Shared {
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

    pub(super) fn comes_before_next(&self, deadline: Millis) -> bool {
        deadline < self.next_due.load(Ordering::Relaxed)
    }

    pub(super) fn set_next_due(&self, next: Option<Millis>) {
        self.next_due.store(next.unwrap_or(Millis::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_engine(&self, engine: Result<Arc<Engine>>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    pub(super) fn set_room(&self, id: RoomId, row: Option<RoomRow>) {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        match row {
            Some(row) => rooms.insert(id, row),
            None => rooms.remove(&id),
        };
    }
}

/// The handle of the thread.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    queue: Sender<Write>,
    places: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Opens the folder and starts the thread.
    pub(super) fn start(folder: &Path, clock: Arc<StoreClock>) -> Result<Self> {
        let lock = Arc::new(Lock::take(folder)?);
        let shared = Arc::new(Shared {
            clock,
            changes: broadcast::Sender::new(1024),
            engine: RwLock::new(Err(Error::new(Code::Internal, "the store is not open yet"))),
            rooms: RwLock::default(),
            next_due: AtomicU64::new(0),
        });
        let ledger = Ledger::open(&lock, shared.clone())?;
        lock.keep_ballast();
        let kept = shared.clone();
        let (queue, writes) = channel();
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || Thread { shared, lock, ledger: Some(ledger), failure: None }.run(&writes));
        let thread = thread.map_err(|error| Error::new(Code::Internal, format!("no thread: {error}")))?;
        Ok(Self { shared: kept, queue, places: Semaphore::new(WAITING), thread: Mutex::new(Some(thread)) })
    }

    /// Hands a write to the thread and waits for its answer.
    pub(super) async fn write<T>(&self, write: impl FnOnce(Answer<T>) -> Write) -> Result<T> {
        let closed = || Error::new(Code::Internal, "the store is closed");
        let _place = self.places.acquire().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.queue.send(write(answer)).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Finishes what waits, closes the database, and only then returns.
    pub(super) fn close(&self) {
        let _ = self.queue.send(Write::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer failed");
        }
    }
}

struct Thread {
    shared: Arc<Shared>,
    lock: Arc<Lock>,
    /// The open database; none where it cannot be opened again for the moment.
    ledger: Option<Ledger>,
    /// Why nothing is written for the moment; what is durable can be read all the same.
    failure: Option<Error>,
}

impl Thread {
    fn run(mut self, writes: &Receiver<Write>) {
        let (mut retry, mut tried) = (FIRST_RETRY, Stopwatch::start());
        loop {
            // Refused writes may come without a pause, so the wait is measured and not begun anew by each of them.
            if self.failure.is_some() && tried.millis() >= retry.as_secs_f64() * 1_000.0 {
                self.recover();
                (retry, tried) = ((retry * 2).min(LAST_RETRY), Stopwatch::start());
            }
            let next = match &self.failure {
                None => writes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => writes.recv_timeout(retry),
            };
            match (next, &self.failure, self.ledger.as_mut()) {
                (Err(RecvTimeoutError::Disconnected), ..) | (Ok(Write::Close), ..) => break,
                (Err(RecvTimeoutError::Timeout), ..) => {}
                (Ok(write), Some(failure), _) => refuse(write, failure.clone()),
                (Ok(first), None, Some(ledger)) => {
                    let waiting = writes.try_iter().take(LARGEST_GROUP - 1);
                    match group(ledger, std::iter::once(first).chain(waiting)) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            tracing::warn!(%error, "the store opens its database again");
                            self.reopen(error);
                            (retry, tried) = (FIRST_RETRY, Stopwatch::start());
                        }
                    }
                }
                (Ok(_), None, None) => break,
            }
        }
        // Readers that are under way may hold the database a moment longer; the lock goes with the last of them.
        self.shared.set_engine(Err(Error::new(Code::Internal, "the store is closed")));
    }

    /// Closes the database, which refuses everything after a write that failed, and opens it anew. On a full disk the
    /// ballast gives the room that this takes.
    fn reopen(&mut self, failure: Error) {
        self.shared.set_engine(Err(failure.clone()));
        (self.ledger, self.failure) = (None, Some(failure));
        self.lock.drop_ballast();
        self.recover();
    }

    /// Opens the database where it is not open, and writes again where there is room.
    fn recover(&mut self) {
        if self.ledger.is_none() {
            match Ledger::open(&self.lock, self.shared.clone()) {
                Ok(ledger) => self.ledger = Some(ledger),
                Err(error) => {
                    tracing::warn!(%error, "the store cannot be opened again yet");
                    self.shared.set_engine(Err(error.clone()));
                    self.failure = Some(error);
                    return;
                }
            }
            // What was not durable is gone.
            self.shared.tell(Change::Reset);
        }
        if self.lock.has_room() {
            self.failure = None;
            self.lock.keep_ballast();
        }
    }
}

/// While there is no database every write has the same answer.
fn refuse(write: Write, error: Error) {
    match write {
        Write::Save { answer, .. } | Write::SetLifetime { answer, .. } => drop(answer.send(Err(error))),
        Write::Delete { answer, .. } => drop(answer.send(Err(error))),
        Write::Claim { answer, .. } => drop(answer.send(Err(error))),
        Write::PutRoom { answer, .. } => drop(answer.send(Err(error))),
        Write::Sweep { answer, .. } => drop(answer.send(Err(error))),
        Write::Close => {}
    }
}

/// A write that was applied: what to tell and whom to answer once it is durable.
struct Applied {
    changes: Vec<Change>,
    answer: Box<dyn FnOnce(Result<()>)>,
}

/// Applies a group of writes and makes it durable; `false` when the store is to close after it.
fn group(ledger: &mut Ledger, writes: impl Iterator<Item = Write>) -> Result<bool> {
    let (mut applied, mut failed, mut open, mut durable) = (Vec::new(), None::<Error>, true, false);
    for write in writes {
        if let Some(error) = &failed {
            refuse(write, error.clone());
            continue;
        }
        durable |= !matches!(write, Write::Sweep { .. } | Write::Close);
        match write {
            Write::Save { new, answer } => settle(ledger.save(new), answer, &mut applied, &mut failed),
            Write::Delete { id, answer } => settle(ledger.delete(id), answer, &mut applied, &mut failed),
            Write::SetLifetime { id, seen_deadline, remaining, payload, answer } => {
                let set = ledger.set_lifetime(id, seen_deadline, remaining, payload);
                settle(set, answer, &mut applied, &mut failed);
            }
            Write::Claim { id, nonce, answer } => settle(ledger.claim(id, nonce), answer, &mut applied, &mut failed),
            Write::PutRoom { put, answer } => settle(ledger.put_room(put), answer, &mut applied, &mut failed),
            Write::Sweep { moment, answer } => settle(ledger.sweep(moment), answer, &mut applied, &mut failed),
            Write::Close => open = false,
        }
    }
    let committed = match failed {
        Some(error) => Err(error),
        None if durable => ledger.engine.commit(),
        None => Ok(()),
    };
    for Applied { changes, answer } in applied {
        if committed.is_ok() {
            changes.into_iter().for_each(|change| ledger.shared.tell(change));
        }
        answer(committed.clone());
    }
    committed.map(|()| open)
}

/// What a write came to, kept until the group is durable. A refusal is answered at once; a failure of the database ends
/// the group.
fn settle<T: 'static>(
    done: Result<(T, Vec<Change>)>,
    answer: Answer<T>,
    applied: &mut Vec<Applied>,
    failed: &mut Option<Error>,
) {
    match done {
        Ok((value, changes)) => {
            let answer = move |committed: Result<()>| drop(answer.send(committed.map(|()| value)));
            applied.push(Applied { changes, answer: Box::new(answer) });
        }
        Err(error) => {
            if matches!(error.code, Code::Full | Code::Internal) {
                *failed = Some(error.clone());
            }
            drop(answer.send(Err(error)));
        }
    }
}
