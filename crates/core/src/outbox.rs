//! What the window sends and the server has not accepted yet: durable in a small store of the window's own, shown as
//! waiting, sent with the same id as soon as the server is there, ended by its own rule.
//!
//! Two records an entry: its text, which is erased by its own deadline like any message, and a note without any text,
//! which outlives it, so that what waited too long can be told, and what was deleted after a first attempt can be deleted
//! on the server too.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, broadcast, mpsc, oneshot},
    task::AbortHandle,
};

use crate::{
    api::{
        Api, ClaimMessage, GetAllMessages, Konnichiwa, Messages, SetLifetime, Show, Subscribe, Subscription,
        SubscriptionId,
    },
    clock::{StoreClock, SystemClock},
    error::{Code, Error, Result},
    event::{Event, Waiting, Why},
    lifetime::{Lifetime, Millis},
    message::{Message, MessageId, SaveMessage, Stamp, validate_text},
    messenger::Messenger,
    room::{PutRoom, Room, RoomId, RoomName},
    store::{Change, LARGEST_PAGE, NewRecord, Record, Store},
};

/// What waits is given up after this or its own lifetime, whichever is shorter, in ms.
const LONGEST_WAIT: Millis = 24 * 60 * 60_000;
/// How long after its first attempt a message may still be accepted, in ms on the server's clock.
const ATTEMPTS: Millis = 10 * 60_000;
/// How long until what the server does not take for the moment is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The operations over a server, with an outbox before it.
pub(crate) struct Outbox {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    messenger: Arc<Messenger>,
    /// The window's own.
    store: Arc<dyn Store>,
    /// The server's address: what waits for another one is left alone.
    server: String,
    /// The two rooms of the window's own store.
    texts: RoomId,
    notes: RoomId,
    entries: Mutex<BTreeMap<u64, Entry>>,
    /// What was given up while no window was open.
    unsent: Mutex<Vec<MessageId>>,
    /// Nobody gets an answer any more.
    ended: AtomicBool,
    /// One change of notes at a time, so that the last one written is the last one made.
    writing: tokio::sync::Mutex<()>,
    /// What gives up: one wrong step of the clock must not.
    clock: StoreClock,
    wake: Notify,
    told: broadcast::Sender<Event>,
}

/// What waits, keyed by the order in which it was written.
struct Entry {
    note: Note,
    /// The note's own record.
    record: MessageId,
    /// Absent once it is deleted.
    text: Option<Text>,
    /// When the text is given up, on the window's store's clock.
    deadline: Millis,
    /// Whoever waits for the answer.
    asking: Vec<oneshot::Sender<Result<Stamp>>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    id: MessageId,
    server: String,
    /// Absent before the first attempt; then the last moment at which the server may accept it.
    not_after: Option<Millis>,
    deleted: bool,
    failure: Option<(Code, String)>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Text {
    room: RoomName,
    message: String,
    lifetime: Lifetime,
    once: bool,
}

impl Outbox {
    /// Reads what waits for this server, and begins to send it.
    pub(crate) async fn open(messenger: Arc<Messenger>, store: Arc<dyn Store>, server: String) -> Result<Self> {
        let (texts, notes): (RoomName, RoomName) = ("outbox texts".parse()?, "outbox notes".parse()?);
        let shared = Arc::new(Shared {
            messenger,
            server,
            texts: texts.id(),
            notes: notes.id(),
            entries: Mutex::default(),
            unsent: Mutex::default(),
            ended: AtomicBool::new(false),
            writing: tokio::sync::Mutex::default(),
            clock: StoreClock::new(Arc::new(SystemClock)),
            wake: Notify::new(),
            told: broadcast::Sender::new(256),
            store,
        });
        for room in [texts, notes] {
            shared.store.put_room(PutRoom::ensure(room)).await?;
        }
        shared.load().await?;
        let task = tokio::spawn(shared.clone().deliver()).abort_handle();
        Ok(Self { shared, task })
    }

    /// Sends nothing any more, and lets go of whoever waits for an answer: what waits stays where it is.
    pub(crate) fn end(&self) {
        self.task.abort();
        let mut entries = self.shared.entries();
        self.shared.ended.store(true, Ordering::Relaxed);
        entries.values_mut().for_each(|entry| entry.asking.clear());
    }

    /// How many messages wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.entries().values().filter(|entry| entry.waits()).count()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox {{ {:?} }}", self.shared.messenger)
    }
}

impl Entry {
    fn waits(&self) -> bool {
        self.text.is_some() && self.note.failure.is_none()
    }

    fn shown(&self) -> Option<Waiting> {
        let Text { room, message, lifetime, once } = self.text.clone()?;
        let failure = self.note.failure.clone().map(|(code, message)| Error { code, message });
        Some(Waiting { id: self.note.id, room, message, lifetime, once, failure })
    }

    fn answer(&mut self, answer: &Result<Stamp>) {
        for asking in self.asking.drain(..) {
            // Whoever asked may be gone.
            let _ = asking.send(answer.clone());
        }
    }
}

/// Why a round of deliveries stops: the server is away.
struct Away;

impl Shared {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // No window may be listening yet; it is told of all when it does.
        let _ = self.told.send(event);
    }

    async fn load(&self) -> Result<()> {
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
        let deadline = found.map_or(record.deadline, |found| found.deadline);
        let deleted = note.deleted;
        self.entries().insert(record.seq, Entry { note, record: record.id, text, deadline, asking: Vec::new() });
        if deleted {
            self.rewrite(record.seq, |note| note.deleted = true).await;
        }
        Ok(())
    }

    /// Sends what waits, in order, whenever there is a chance.
    async fn deliver(self: Arc<Self>) {
        let mut changes = self.messenger.desk().store.changes();
        loop {
            let away = self.round().await.is_err();
            let back = async {
                while let Some(change) = changes.next().await {
                    if matches!(change, Change::Reset) {
                        return;
                    }
                }
                std::future::pending().await
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = back => {}
                () = tokio::time::sleep(self.next_look(away)) => {}
            }
        }
    }

    /// How long until something waits too long, or is tried again.
    fn next_look(&self, away: bool) -> Duration {
        let now = self.clock.read().steady;
        let first = self.entries().values().filter(|entry| entry.text.is_some()).map(|entry| entry.deadline).min();
        let due = first.map_or(Duration::MAX, |first| Duration::from_millis(first.saturating_sub(now).max(10)));
        // The runtime's timers stand still in suspend, so that no wait is long.
        due.min(if away { AGAIN } else { Duration::from_secs(30) })
    }

    async fn round(&self) -> Result<(), Away> {
        self.give_up().await;
        let keys: Vec<_> = self.entries().keys().copied().collect();
        for key in keys {
            let Some((note, text)) = self.entries().get(&key).map(|entry| (entry.note.clone(), entry.text.clone()))
            else {
                continue;
            };
            match text {
                None => self.delete_there(key, note.id).await?,
                Some(_) if note.failure.is_some() => {}
                Some(text) => self.send(key, note, text).await?,
            }
        }
        Ok(())
    }

    /// What waited too long is erased by the window's store; here it is told, and what may have arrived is deleted there.
    async fn give_up(&self) {
        let now = self.clock.read().steady;
        let due: Vec<_> = {
            let entries = self.entries();
            let due = entries.iter().filter(|(_, entry)| entry.text.is_some() && entry.deadline <= now);
            due.map(|(key, entry)| (*key, entry.note.id)).collect()
        };
        for (key, id) in due {
            if self.told.send(Event::Unsent { id }).is_err() {
                self.unsent.lock().unwrap_or_else(PoisonError::into_inner).push(id);
            }
            // Told by that alone: an answer might be there before it.
            if let Some(entry) = self.entries().get_mut(&key) {
                entry.asking.clear();
            }
            if let Err(error) = self.end_waiting(id).await {
                tracing::warn!(%error, "what waited too long is still in the outbox");
            }
        }
    }

    async fn send(&self, key: u64, mut note: Note, text: Text) -> Result<(), Away> {
        // Nothing is noted as attempted before the server is known to be there, and by its own clock.
        let now = self.messenger.desk().now().await.map_err(|_| Away)?;
        if note.not_after.is_none() {
            note.not_after = Some(now + ATTEMPTS);
            let still_waits = self.rewrite(key, |entry| entry.not_after = note.not_after).await;
            if !still_waits {
                return Ok(());
            }
        }
        let Text { room, message, lifetime, once } = text;
        let request = SaveMessage { id: Some(note.id), room, message, lifetime: Some(lifetime), once };
        let answer = self.messenger.save(request, note.not_after).await;
        match &answer {
            Err(error) if error.code == Code::Unreachable => return Err(Away),
            Err(error) => {
                let failure = Some((error.code, error.message.clone()));
                self.rewrite(key, |note| note.failure = failure).await;
                let shown = self.entries().get_mut(&key).and_then(|entry| {
                    entry.answer(&answer);
                    entry.shown()
                });
                if let Some(message) = shown {
                    self.tell(Event::Waiting { message });
                }
            }
            // Deleted while it was under way: it is deleted there in the next round.
            Ok(_) if self.entries().get(&key).is_some_and(|entry| entry.text.is_none()) => self.wake.notify_one(),
            Ok(_) => self.settle(key, &answer).await,
        }
        Ok(())
    }

    async fn delete_there(&self, key: u64, id: MessageId) -> Result<(), Away> {
        match self.messenger.delete_message(id).await {
            Err(error) if matches!(error.code, Code::Unreachable | Code::Refused) => Err(Away),
            _ => {
                self.settle(key, &Err(Error::no_such_message())).await;
                Ok(())
            }
        }
    }

    /// An entry is done with: its answer is given, and nothing of it stays.
    async fn settle(&self, key: u64, answer: &Result<Stamp>) {
        let Some(mut entry) = self.entries().remove(&key) else { return };
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

    /// Changes a note: a new record, then the old one goes. Answers whether its text still waits.
    async fn rewrite(&self, key: u64, change: impl FnOnce(&mut Note)) -> bool {
        let _writing = self.writing.lock().await;
        let (changed, waits) = {
            let mut entries = self.entries();
            let Some(entry) = entries.get_mut(&key) else { return false };
            change(&mut entry.note);
            (entry.note.clone(), entry.text.is_some())
        };
        let written = async {
            let new = self.note_record(&changed)?;
            let id = new.id;
            self.store.save(new).await?;
            Ok::<_, Error>(id)
        };
        match written.await {
            Ok(id) => {
                let old = self.entries().get_mut(&key).map(|entry| std::mem::replace(&mut entry.record, id));
                // Without an entry it is done with meanwhile, and the new note with it.
                if let Err(error) = self.erase(old.unwrap_or(id)).await {
                    tracing::warn!(%error, "an old note stays in the outbox");
                }
            }
            Err(error) => tracing::warn!(%error, "a note of the outbox cannot be written"),
        }
        waits
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
    async fn enter(&self, id: MessageId, text: Text, asking: oneshot::Sender<Result<Stamp>>) -> Result<()> {
        let note = Note { id, server: self.server.clone(), not_after: None, deleted: false, failure: None };
        let lifetime = Lifetime::from_millis(text.lifetime.millis().min(LONGEST_WAIT))?;
        let payload = encode(&text)?;
        let kept = NewRecord { id, room: self.texts, lifetime, not_after: None, payload, once: None };
        let noted = self.note_record(&note)?;
        let record = noted.id;
        let (kept, noted) = tokio::try_join!(self.store.save(kept), self.store.save(noted))?;
        let entry = Entry { note, record, text: Some(text), deadline: kept.deadline, asking: vec![asking] };
        let mut entries = self.entries();
        entries.insert(noted.seq, entry);
        if self.ended.load(Ordering::Relaxed) {
            entries.values_mut().for_each(|entry| entry.asking.clear());
        }
        Ok(())
    }

    /// Somebody asks for an entry that is there already: a failed one is tried again.
    async fn ask_again(
        &self,
        id: MessageId,
        asking: oneshot::Sender<Result<Stamp>>,
    ) -> Option<oneshot::Sender<Result<Stamp>>> {
        let key = {
            let mut entries = self.entries();
            match entries.iter_mut().find(|(_, entry)| entry.note.id == id && entry.text.is_some()) {
                Some((key, entry)) => {
                    entry.asking.push(asking);
                    *key
                }
                None => return Some(asking),
            }
        };
        self.rewrite(key, |note| note.failure = None).await;
        None
    }

    /// Ends what waits, here at once and, if it was ever attempted, there as soon as there is a link. Answers whether
    /// anything of this id waited.
    async fn end_waiting(&self, id: MessageId) -> Result<bool> {
        let (key, attempted) = {
            let mut entries = self.entries();
            let Some((key, entry)) = entries.iter_mut().find(|(_, entry)| entry.note.id == id) else {
                return Ok(false);
            };
            entry.text = None;
            entry.answer(&Err(Error::no_such_message()));
            (*key, entry.note.not_after.is_some())
        };
        // The note first: it alone knows, after a crash, that this was not to be sent.
        self.rewrite(key, |note| (note.deleted, note.failure) = (true, None)).await;
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

/// What waits, then everything that the server and the outbox tell.
async fn forward(
    shared: Arc<Shared>,
    mut told: broadcast::Receiver<Event>,
    mut inner: Subscription,
    events: mpsc::Sender<Event>,
) {
    let unsent = std::mem::take(&mut *shared.unsent.lock().unwrap_or_else(PoisonError::into_inner));
    let waiting: Vec<_> = shared.entries().values().filter_map(Entry::shown).collect();
    let first = waiting.into_iter().map(|message| Event::Waiting { message });
    for event in first.chain(unsent.into_iter().map(|id| Event::Unsent { id })) {
        if events.send(event).await.is_err() {
            return;
        }
    }
    loop {
        let event = tokio::select! {
            event = inner.events.recv() => match event {
                Some(event) => event,
                None => return,
            },
            Ok(event) = told.recv() => event,
            () = events.closed() => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Api for Outbox {
    async fn save_message(&self, request: SaveMessage) -> Result<Stamp> {
        validate_text(&request.message)?;
        let id = request.id.unwrap_or_else(MessageId::random);
        let (asking, answer) = oneshot::channel();
        if let Some(asking) = self.shared.ask_again(id, asking).await {
            let default = || {
                self.shared.messenger.desk().known(request.room.id()).map_or(Lifetime::DEFAULT, |room| room.lifetime)
            };
            let SaveMessage { room, message, lifetime, once, .. } = request.clone();
            let text = Text { room, message, lifetime: lifetime.unwrap_or_else(default), once };
            if let Err(error) = self.shared.enter(id, text, asking).await {
                tracing::warn!(%error, "the outbox takes nothing; the message goes without it");
                return self.shared.messenger.save_message(SaveMessage { id: Some(id), ..request }).await;
            }
        }
        self.shared.wake.notify_one();
        let left = || Error::new(Code::Unreachable, "it waits for its server, and another store is open");
        answer.await.map_err(|_| left())?
    }

    async fn get_message(&self, id: MessageId) -> Result<Message> {
        self.shared.messenger.get_message(id).await
    }

    async fn get_all_messages(&self, request: GetAllMessages) -> Result<Messages> {
        self.shared.messenger.get_all_messages(request).await
    }

    async fn delete_message(&self, id: MessageId) -> Result<()> {
        match self.shared.end_waiting(id).await? {
            true => Ok(()),
            false => self.shared.messenger.delete_message(id).await,
        }
    }

    async fn set_lifetime(&self, request: SetLifetime) -> Result<Stamp> {
        self.shared.messenger.set_lifetime(request).await
    }

    async fn claim_message(&self, request: ClaimMessage) -> Result<String> {
        self.shared.messenger.claim_message(request).await
    }

    async fn list_rooms(&self) -> Result<Vec<Room>> {
        self.shared.messenger.list_rooms().await
    }

    async fn put_room(&self, request: PutRoom) -> Result<Room> {
        self.shared.messenger.put_room(request).await
    }

    async fn konnichiwa(&self) -> Result<Konnichiwa> {
        self.shared.messenger.konnichiwa().await
    }

    async fn events(&self, request: Subscribe) -> Result<Subscription> {
        let told = self.shared.told.subscribe();
        let inner = self.shared.messenger.events(request).await?;
        let (id, (events, received)) = (inner.id, mpsc::channel(256));
        tokio::spawn(forward(self.shared.clone(), told, inner, events));
        Ok(Subscription { id, events: received })
    }

    async fn show(&self, request: Show) -> Result<()> {
        self.shared.messenger.show(request).await
    }

    async fn hide(&self, subscription: SubscriptionId, room: RoomName) -> Result<()> {
        self.shared.messenger.hide(subscription, room).await
    }
}
