//! The one thread that writes. It takes what waits as a group, decides and applies each write in order, makes the group
//! durable once, then tells the changes and answers. A disk that is full ends the database, not the store: writes are
//! refused, and it is opened again when there is room.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{Semaphore, oneshot};

use super::{folder::Lock, ledger::Ledger, mark::Mark, shared::Shared};
use crate::{
    clock::{Moment, Stopwatch, StoreClock},
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room},
    store::{Change, NewRecord},
};

/// The most writes of one group.
const LARGEST_GROUP: usize = 512;
/// The most callers that wait for the writer at once; more wait to wait.
const WAITING: usize = 4 * LARGEST_GROUP;
/// How soon, and how late at most, a database that failed is opened again.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often, and how many times at most, it is looked whether the database is closed.
const LINGERING: Duration = Duration::from_millis(1);
const LINGERING_TRIES: usize = 2_000;

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
        let shared = Arc::new(Shared::new(clock));
        let ledger = Ledger::open(&lock, shared.clone())?;
        lock.keep_ballast();
        let kept = shared.clone();
        let (queue, writes) = channel();
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || {
            let (ledger, tried) = (Some(ledger), Stopwatch::start());
            Thread { shared, lock, ledger, failure: None, retry: FIRST_RETRY, tried }.run(&writes);
        });
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
    /// How long to wait after the last try before the next one.
    retry: Duration,
    tried: Stopwatch,
}

impl Thread {
    fn run(mut self, writes: &Receiver<Write>) {
        loop {
            // Refused writes may come without a pause, so the wait is measured and not begun anew by each of them.
            if self.failure.is_some() && self.waited() >= self.retry {
                self.recover();
            }
            let next = match &self.failure {
                None => writes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => writes.recv_timeout(self.retry.saturating_sub(self.waited())),
            };
            match (next, &self.failure, self.ledger.as_mut()) {
                (Err(RecvTimeoutError::Disconnected), ..) | (Ok(Write::Close), ..) => break,
                (Err(RecvTimeoutError::Timeout), ..) => {}
                (Ok(write), Some(failure), _) => refuse(write, failure.clone()),
                (Ok(first), None, Some(ledger)) => {
                    let waiting = writes.try_iter().take(LARGEST_GROUP - 1);
                    let group = || group(ledger, std::iter::once(first).chain(waiting));
                    match catch_unwind(AssertUnwindSafe(group)).unwrap_or_else(|_| Err(panicked())) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => self.reopen(error),
                    }
                }
                (Ok(_), None, None) => break,
            }
        }
        self.close();
    }

    fn waited(&self) -> Duration {
        Duration::from_secs_f64(self.tried.millis() / 1_000.0)
    }

    /// Closes the database, which refuses everything after a write that failed, and opens it anew, so that what is
    /// durable can be read. On a full disk the ballast gives the room that this takes. Writes wait for a while.
    fn reopen(&mut self, failure: Error) {
        tracing::warn!(error = %failure, "the store opens its database again");
        let worked_long = self.waited() > 2 * LAST_RETRY;
        self.retry = if worked_long { FIRST_RETRY } else { (self.retry * 2).min(LAST_RETRY) };
        self.shared.set_engine(Err(failure.clone()));
        (self.ledger, self.failure) = (None, Some(failure));
        self.lock.drop_ballast();
        self.open_again();
        self.tried = Stopwatch::start();
    }

    /// Opens the database where it is not open, and writes again where there is room.
    fn recover(&mut self) {
        self.open_again();
        let was_full = self.failure.as_ref().is_some_and(|failure| failure.code == Code::Full);
        if self.ledger.is_some() && (!was_full || self.lock.has_room()) {
            self.failure = None;
            self.lock.keep_ballast();
        } else {
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        self.tried = Stopwatch::start();
    }

    fn open_again(&mut self) {
        if self.ledger.is_some() {
            return;
        }
        let open = || Ledger::open(&self.lock, self.shared.clone());
        match catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(panicked())) {
            Ok(ledger) => {
                self.ledger = Some(ledger);
                // What was not durable is gone.
                self.shared.tell(Change::Reset);
            }
            Err(error) => {
                tracing::warn!(%error, "the store cannot be opened again yet");
                self.shared.set_engine(Err(error.clone()));
                self.failure = Some(error);
            }
        }
    }

    /// Ends the database, and says so in the mark once sled has written the last of it. The lock goes last.
    fn close(mut self) {
        self.shared.set_engine(Err(Error::new(Code::Internal, "the store is closed")));
        let Some(ledger) = self.ledger.take() else { return };
        let mark = ledger.mark();
        drop(ledger);
        // Readers that are under way hold the database a moment longer, and sled's own threads after that.
        for _ in 0..LINGERING_TRIES {
            if Arc::strong_count(&self.lock) == 1
                && let Some(outline) = self.lock.outline()
            {
                if self.failure.is_none() {
                    self.lock.note(Mark { outline, ..mark }, true);
                }
                return;
            }
            std::thread::sleep(LINGERING);
        }
    }
}

fn panicked() -> Error {
    Error::new(Code::Internal, "the embedded store failed while it was written")
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
        None if durable => ledger.commit(),
        None => Ok(()),
    };
    for Applied { changes, answer } in applied {
        if committed.is_ok() {
            changes.into_iter().for_each(|change| ledger.shared.tell(change));
        }
        answer(committed.clone());
    }
    ledger.wake_sweeper();
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
