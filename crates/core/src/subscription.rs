//! One subscription: the task that turns a store's changes into events. Pages travel through it too, read and emitted in
//! their place, so that a page can never overtake or undo a deletion.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::{
    api::{Messages, Subscribe},
    desk::Desk,
    error::{Code, Error, Result},
    event::{Event, Link, Why},
    lifetime::Millis,
    message::{Message, MessageId},
    messenger::PAGE,
    room::RoomName,
    store::{Change, Changes, EndedBy},
};

/// How many events wait for a receiver that does not keep up, before the store's changes wait too.
const WAITING: usize = 256;
/// How long until a snapshot that failed is tried again; one of a store that is away comes when that is back.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_AWAY: Duration = Duration::from_secs(10);

/// What a face asks of its subscription.
#[derive(Debug)]
pub(crate) enum Command {
    Show { room: RoomName, before: Option<u64> },
    Hide { room: RoomName },
}

/// Starts the task; the first snapshot is on its way when this returns, or has failed.
pub(crate) async fn start(
    desk: Arc<Desk>,
    request: Subscribe,
) -> Result<(mpsc::Sender<Command>, mpsc::Receiver<Event>)> {
    // Before the first page is read, so that nothing falls between the two.
    let changes = desk.store.changes();
    let (commands, asked) = mpsc::channel(16);
    let (events, received) = mpsc::channel(WAITING);
    let deadlines = request.expiry.then(Deadlines::default);
    let mut forwarder = Forwarder { desk, open: request.rooms, events, deadlines };
    // A store that is away is no error: what waits to be sent can be shown meanwhile.
    let snapshot = match forwarder.read_snapshot().await {
        Ok(snapshot) => Some(snapshot),
        Err(error) => match forwarder.away(&error) {
            Some(link) => {
                let _ = forwarder.emit(Event::Link { link }).await;
                None
            }
            None => return Err(error),
        },
    };
    tokio::spawn(async move {
        // Ends when the receiver is dropped.
        let _ = forwarder.run(snapshot, changes, asked).await;
    });
    Ok((commands, received))
}

/// The receiver is gone.
struct Over;

struct Forwarder {
    desk: Arc<Desk>,
    /// The rooms whose newest page belongs to a snapshot.
    open: Vec<RoomName>,
    events: mpsc::Sender<Event>,
    /// Only for faces without a clock of their own.
    deadlines: Option<Deadlines>,
}

impl Forwarder {
    async fn run(
        mut self,
        first: Option<Vec<Event>>,
        mut changes: Changes,
        mut asked: mpsc::Receiver<Command>,
    ) -> Result<(), Over> {
        match first {
            Some(first) => {
                for event in first {
                    self.emit(event).await?;
                }
            }
            None => self.snapshot(&mut changes).await?,
        }
        loop {
            let next = self.deadlines.as_ref().and_then(Deadlines::next);
            tokio::select! {
                change = changes.next() => match change {
                    Some(Change::Reset) => {
                        self.emit(Event::Reset).await?;
                        self.snapshot(&mut changes).await?;
                    }
                    Some(change) => self.forward(change).await?,
                    None => return Err(Over),
                },
                Some(command) = asked.recv() => self.obey(command).await?,
                () = self.desk.time.wait_until(next.unwrap_or(Millis::MAX)), if next.is_some() => self.end_what_is_due().await?,
                () = self.events.closed() => return Err(Over),
            }
        }
    }

    async fn forward(&mut self, change: Change) -> Result<(), Over> {
        match change {
            Change::Saved(record) => {
                let id = record.id;
                let read = async {
                    let now = self.desk.now_for(record.deadline).await?;
                    self.desk.read(record, now).await
                };
                match read.await {
                    Ok(message) => self.emit(Event::Saved { message }).await,
                    Err(error) => {
                        tracing::debug!(%id, %error, "a message is skipped");
                        Ok(())
                    }
                }
            }
            Change::Moved { id, deadline } => self.emit(Event::Moved { id, deadline }).await,
            Change::Ended { id, by } => {
                let why = match by {
                    EndedBy::Deletion => Why::Deleted,
                    EndedBy::Claim => Why::Seen,
                };
                self.emit(Event::Ended { id, why }).await
            }
            Change::Room(room) => {
                self.desk.note(room.clone());
                self.emit(Event::Room { room }).await
            }
            Change::Forgot => self.emit(Event::Forgot).await,
            Change::Link(link) => self.emit(Event::Link { link }).await,
            // What it asks for needs the stream itself.
            Change::Reset => Ok(()),
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), Over> {
        match command {
            Command::Hide { room } => {
                self.open.retain(|open| *open != room);
                Ok(())
            }
            Command::Show { room, before } => {
                if before.is_none() && !self.open.contains(&room) {
                    self.open.push(room.clone());
                }
                let event = self.read_page(room.clone(), before).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a page cannot be read");
                    // Whoever waits for it may ask again.
                    let (messages, now) = (Vec::new(), self.desk.time.now());
                    Event::Page { room, messages, newer: 0, replace: false, more: true, now }
                });
                self.emit(event).await
            }
        }
    }

    /// Reads everything that is shown until that succeeds, and emits it. What changes meanwhile is in it.
    async fn snapshot(&mut self, changes: &mut Changes) -> Result<(), Over> {
        loop {
            let error = match self.read_snapshot().await {
                Ok(snapshot) => {
                    for event in snapshot {
                        self.emit(event).await?;
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            tracing::info!(%error, "a snapshot cannot be read");
            let link = self.away(&error);
            let pause = tokio::time::sleep(if link.is_some() { RETRY_AWAY } else { RETRY });
            // Of an outage the store tells itself, and what it refuses in particular only this one knows.
            if let Some(link @ Link::Refused { .. }) = link {
                self.emit(Event::Link { link }).await?;
            }
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    change = changes.next() => match change {
                        Some(Change::Link(link)) => self.emit(Event::Link { link }).await?,
                        Some(Change::Forgot) => self.emit(Event::Forgot).await?,
                        Some(Change::Reset) => break,
                        Some(_) => {}
                        None => return Err(Over),
                    },
                    () = &mut pause => break,
                    () = self.events.closed() => return Err(Over),
                }
            }
        }
    }

    /// The link of a store that does not answer, or answers with no.
    fn away(&self, error: &Error) -> Option<Link> {
        match error.code {
            Code::Unreachable => Some(Link::Offline { since: self.desk.time.wall() }),
            Code::Refused => Some(Link::Refused { message: error.message.clone() }),
            _ => None,
        }
    }

    /// The rooms, then the newest page of each open room, then the link.
    async fn read_snapshot(&mut self) -> Result<Vec<Event>> {
        let asked = self.desk.time.asked();
        let health = self.desk.store.health(false).await?;
        let link = Link::Connected { round_trip: health.round_trip };
        self.desk.time.sample(health.now, asked);
        let mut snapshot: Vec<_> = self.desk.rooms().await?.into_iter().map(|room| Event::Room { room }).collect();
        for room in self.open.clone() {
            snapshot.push(self.read_page(room, None).await?);
        }
        snapshot.push(Event::Link { link });
        Ok(snapshot)
    }

    async fn read_page(&self, room: RoomName, before: Option<u64>) -> Result<Event> {
        let page = self.desk.page(&room, before, PAGE).await?;
        let Messages { messages, newer, more, now } = page;
        Ok(Event::Page { room, messages, newer, replace: before.is_none(), more, now })
    }

    async fn end_what_is_due(&mut self) -> Result<(), Over> {
        let now = self.desk.time.now();
        while let Some(id) = self.deadlines.as_mut().and_then(|deadlines| deadlines.take_due(now)) {
            self.emit(Event::Ended { id, why: Why::Expired }).await?;
        }
        Ok(())
    }

    async fn emit(&mut self, event: Event) -> Result<(), Over> {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.follow(&event);
        }
        self.events.send(event).await.map_err(|_| Over)
    }
}

/// The deadlines of what was emitted.
#[derive(Default)]
struct Deadlines {
    by_id: HashMap<MessageId, Millis>,
    in_order: BTreeSet<(Millis, MessageId)>,
}

impl Deadlines {
    fn follow(&mut self, event: &Event) {
        match event {
            Event::Saved { message } => self.set(message),
            Event::Page { messages, .. } => messages.iter().for_each(|message| self.set(message)),
            Event::Moved { id, deadline } => {
                if self.remove(*id) {
                    self.insert(*id, *deadline);
                }
            }
            Event::Ended { id, .. } => {
                self.remove(*id);
            }
            // What was missed may have moved or ended; what is alive comes again.
            Event::Reset => *self = Self::default(),
            Event::Room { .. }
            | Event::Link { .. }
            | Event::Forgot
            | Event::Waiting { .. }
            | Event::Accepted { .. }
            | Event::Unsent { .. } => {}
        }
    }

    fn set(&mut self, message: &Message) {
        self.remove(message.id);
        self.insert(message.id, message.deadline);
    }

    fn insert(&mut self, id: MessageId, deadline: Millis) {
        self.by_id.insert(id, deadline);
        self.in_order.insert((deadline, id));
    }

    fn remove(&mut self, id: MessageId) -> bool {
        match self.by_id.remove(&id) {
            Some(deadline) => self.in_order.remove(&(deadline, id)),
            None => false,
        }
    }

    fn next(&self) -> Option<Millis> {
        self.in_order.first().map(|(deadline, _)| *deadline)
    }

    fn take_due(&mut self, now: Millis) -> Option<MessageId> {
        let (_, id) = self.in_order.first().copied().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(id);
        Some(id)
    }
}
