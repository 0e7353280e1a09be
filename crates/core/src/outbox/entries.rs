//! What waits, in memory and on the disk: two records an entry, its text and its note, which change here alone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    clock::StoreClock,
    error::{Code, Error, Result},
    event::{Event, Waiting, Why},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    messenger::Messenger,
    room::{RoomId, RoomName},
    store::{LARGEST_PAGE, NewRecord, Record, Store},
};

/// What waits is given up after this or its own lifetime, whichever is shorter, in ms.
const LONGEST_WAIT: Millis = 24 * 60 * 60_000;

/// What the parts of an outbox share.
pub(super) struct Shared {
    pub(super) messenger: Arc<Messenger>,
    /// The window's own.
    pub(super) store: Arc<dyn Store>,
    /// The server's address: what waits for another one is left alone.
    pub(super) server: String,
    /// The two rooms of the window's own store.
    pub(super) texts: RoomId,
    pub(super) notes: RoomId,
    pub(super) entries: Mutex<BTreeMap<u64, Entry>>,
    /// What was given up while no window was open.
    pub(super) unsent: Mutex<Vec<MessageId>>,
    /// Nobody gets an answer any more.
    pub(super) ended: AtomicBool,
    /// One change of notes at a time, so that the last one written is the last one made.
    pub(super) writing: tokio::sync::Mutex<()>,
    /// What gives up: one wrong step of the clock must not.
    pub(super) clock: StoreClock,
    pub(super) wake: Notify,
    /// Unbounded, but never more than what waits has to tell.
    pub(super) listeners: Mutex<Vec<mpsc::UnboundedSender<Event>>>,
}

/// What waits, keyed by the order in which it was written.
pub(super) struct Entry {
    pub(super) note: Note,
    /// The note's own record.
    pub(super) record: MessageId,
    /// Absent once it is deleted.
    pub(super) text: Option<Text>,
    /// When the text is given up, on the window's store's clock.
    pub(super) deadline: Millis,
    /// Whoever waits for the answer.
    pub(super) asking: Vec<oneshot::Sender<Result<Stamp>>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: MessageId,
    pub(super) server: String,
    /// Absent before the first attempt; then the last moment at which the server may accept it.
    pub(super) not_after: Option<Millis>,
    pub(super) deleted: bool,
    pub(super) failure: Option<(Code, String)>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Text {
    pub(super) room: RoomName,
    pub(super) message: String,
    pub(super) lifetime: Lifetime,
    pub(super) once: bool,
}

impl Entry {
    pub(super) fn waits(&self) -> bool {
        self.text.is_some() && self.note.failure.is_none()
    }

    pub(super) fn shown(&self) -> Option<Waiting> {
        let Text { room, message, lifetime, once } = self.text.clone()?;
        let failure = self.note.failure.clone().map(|(code, message)| Error { code, message });
        Some(Waiting { id: self.note.id, room, message, lifetime, once, failure })
    }

    pub(super) fn answer(&mut self, answer: &Result<Stamp>) {
        for asking in self.asking.drain(..) {
            // Whoever asked may be gone.
            let _ = asking.send(answer.clone());
        }
    }
}

impl Shared {
    pub(super) fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers whether anybody listens; who begins to is told of all.
    pub(super) fn tell(&self, event: Event) -> bool {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(event.clone()).is_ok());
        !listeners.is_empty()
    }

    pub(super) async fn load(&self) -> Result<()> {
        let mut before = None;
        loop {
            let page = self.store.page(self.notes, before, LARGEST_PAGE).await?;
            before = page.records.last().map(|record| record.seq);
            for record in page.records {
                self.load_entry(record).await?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn load_entry(&self, record: Record) -> Result<()> {
        let Ok(mut note) = postcard::from_bytes::<Note>(&record.payload) else { return self.erase(record.id).await };
        if note.server != self.server {
            return Ok(());
        }
        // A crash may have left the note that this one took the place of, which is older.
        if self.entries().values().any(|entry| entry.note.id == note.id) {
            return self.erase(record.id).await;
        }
        let found = match self.store.get(note.id).await {
            Ok(found) => Some(found),
            Err(error) if error.code == Code::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut text = found.as_ref().and_then(|found| postcard::from_bytes::<Text>(&found.payload).ok());
        if note.deleted {
            // A crash came between the two.
            self.erase(note.id).await?;
            text = None;
        } else if text.is_none() {
            self.unsent.lock().unwrap_or_else(PoisonError::into_inner).push(note.id);
            if note.not_after.is_none() {
                return self.erase(record.id).await;
            }
            // It may have arrived: then it goes there too.
            note.deleted = true;
        }
        let deadline = found.as_ref().map_or(record.deadline, |found| found.deadline);
        // Notes are written anew; the order is the texts'.
        let key = found.as_ref().map_or(record.seq, |found| found.seq);
        let deleted = note.deleted;
        self.entries().insert(key, Entry { note, record: record.id, text, deadline, asking: Vec::new() });
        if deleted {
            self.rewrite(key, |note| note.deleted = true).await?;
        }
        Ok(())
    }

    /// An entry is done with: its answer is given, and nothing of it stays.
    pub(super) async fn settle(&self, key: u64, answer: &Result<Stamp>) {
        let entry = {
            let mut entries = self.entries();
            // Deleted while it was under way: it is deleted there in the next round.
            if answer.is_ok() && entries.get(&key).is_some_and(|entry| entry.note.deleted) {
                self.wake.notify_one();
                return;
            }
            entries.remove(&key)
        };
        let Some(mut entry) = entry else { return };
        if let Ok(stamp) = answer {
            self.tell(Event::Accepted { stamp: *stamp });
        }
        entry.answer(answer);
        // The note first: without one a text is never sent again, and ends by its own deadline.
        for id in [entry.record, entry.note.id] {
            if let Err(error) = self.erase(id).await {
                tracing::warn!(%error, "what was sent is still in the outbox");
            }
        }
    }

    async fn erase(&self, id: MessageId) -> Result<()> {
        match self.store.delete(id).await {
            Err(error) if error.code != Code::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes a note: a new record, then the old one goes. Answers whether its text is still to be sent; where nothing
    /// can be written, nothing has changed.
    pub(super) async fn rewrite(&self, key: u64, change: impl FnOnce(&mut Note)) -> Result<bool> {
        let _writing = self.writing.lock().await;
        let (before, changed) = {
            let mut entries = self.entries();
            let Some(entry) = entries.get_mut(&key) else { return Ok(false) };
            let before = entry.note.clone();
            change(&mut entry.note);
            (before, entry.note.clone())
        };
        let new = self.note_record(&changed)?;
        let id = new.id;
        if let Err(error) = self.store.save(new).await {
            if let Some(entry) = self.entries().get_mut(&key) {
                entry.note = before;
            }
            return Err(error);
        }
        let (old, waits) = match self.entries().get_mut(&key) {
            Some(entry) => (std::mem::replace(&mut entry.record, id), entry.text.is_some() && !entry.note.deleted),
            // It is done with meanwhile, and the new note with it.
            None => (id, false),
        };
        if let Err(error) = self.erase(old).await {
            tracing::warn!(%error, "an old note stays in the outbox");
        }
        Ok(waits)
    }

    fn note_record(&self, note: &Note) -> Result<NewRecord> {
        let payload = encode(note)?;
        Ok(NewRecord {
            id: MessageId::random(),
            room: self.notes,
            lifetime: Lifetime::LONGEST,
            not_after: None,
            payload,
            once: None,
        })
    }

    /// Writes a new entry down; both records in one sync.
    pub(super) async fn enter(&self, id: MessageId, text: Text, asking: oneshot::Sender<Result<Stamp>>) -> Result<()> {
        let note = Note { id, server: self.server.clone(), not_after: None, deleted: false, failure: None };
        let lifetime = Lifetime::from_millis(text.lifetime.millis().min(LONGEST_WAIT))?;
        let payload = encode(&text)?;
        let kept = NewRecord { id, room: self.texts, lifetime, not_after: None, payload, once: None };
        let noted = self.note_record(&note)?;
        let record = noted.id;
        let (kept, _) = tokio::try_join!(self.store.save(kept), self.store.save(noted))?;
        let entry = Entry { note, record, text: Some(text), deadline: kept.deadline, asking: vec![asking] };
        let mut entries = self.entries();
        entries.insert(kept.seq, entry);
        self.let_go_once_ended(&mut entries);
        Ok(())
    }

    /// Somebody asks for an entry that is there already: a failed one is tried again.
    pub(super) async fn ask_again(
        &self,
        id: MessageId,
        asking: oneshot::Sender<Result<Stamp>>,
    ) -> Option<oneshot::Sender<Result<Stamp>>> {
        let key = {
            let mut entries = self.entries();
            match entries.iter_mut().find(|(_, entry)| entry.note.id == id && entry.text.is_some()) {
                Some((key, entry)) => {
                    entry.asking.push(asking);
                    let key = *key;
                    self.let_go_once_ended(&mut entries);
                    key
                }
                None => return Some(asking),
            }
        };
        if let Err(error) = self.rewrite(key, |note| note.failure = None).await {
            tracing::warn!(%error, "what failed cannot be tried again");
        }
        None
    }

    /// Whoever asks after the end gets no answer, and must not wait for one.
    fn let_go_once_ended(&self, entries: &mut BTreeMap<u64, Entry>) {
        if self.ended.load(Ordering::Relaxed) {
            entries.values_mut().for_each(|entry| entry.asking.clear());
        }
    }

    /// Ends what waits, here at once and, if it was ever attempted, there as soon as there is a link. Answers whether
    /// anything of this id waited.
    pub(super) async fn end_waiting(&self, id: MessageId) -> Result<bool> {
        let found = self.entries().iter().find(|(_, entry)| entry.note.id == id).map(|(key, _)| *key);
        let Some(key) = found else { return Ok(false) };
        // The note first: it alone knows, after a crash, that this was not to be sent.
        self.rewrite(key, |note| (note.deleted, note.failure) = (true, None)).await?;
        let attempted = {
            let mut entries = self.entries();
            // Accepted at the very moment.
            let Some(entry) = entries.get_mut(&key) else { return Ok(false) };
            entry.text = None;
            entry.answer(&Err(Error::no_such_message()));
            entry.note.not_after.is_some()
        };
        self.erase(id).await?;
        // Also for what was told of it on the way here.
        self.tell(Event::Ended { id, why: Why::Deleted });
        if attempted {
            self.wake.notify_one();
        } else {
            self.settle(key, &Err(Error::no_such_message())).await;
        }
        Ok(true)
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_allocvec(value)
        .map_err(|error| Error::new(Code::Internal, format!("the outbox cannot be written: {error}")))
}
