//! The operations over a store that this process owns: validates what comes in, makes and reads payloads, gates by
//! deadline. What a subscription does with changes stands in `subscription`, how records become messages in `desk`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    api::{
        Api, ClaimMessage, GetAllMessages, Konnichiwa, Messages, SetLifetime, Show, Subscribe, Subscription,
        SubscriptionId,
    },
    clock::{Clock, StoreTime},
    desk::Desk,
    error::{Code, Error, Result},
    lifetime::Millis,
    message::{Message, MessageId, Payload, SaveMessage, Stamp, validate_text},
    room::{PutRoom, Room, RoomName},
    settings::SettingsFile,
    store::{NewRecord, Store},
    subscription,
};

/// The size of a page that nobody gave a size.
pub(crate) const PAGE: usize = 50;

/// The operations over a store that this process owns.
#[derive(Debug)]
pub struct Messenger {
    desk: Arc<Desk>,
    subscriptions: Mutex<HashMap<SubscriptionId, mpsc::Sender<subscription::Command>>>,
    last_subscription: AtomicU64,
}

impl Messenger {
    /// Over this store, speaking as the settings say.
    pub fn new(store: Arc<dyn Store>, settings: SettingsFile, clock: Arc<dyn Clock>) -> Self {
        let desk = Arc::new(Desk::new(store, settings, StoreTime::new(clock)));
        Self { desk, subscriptions: Mutex::default(), last_subscription: AtomicU64::new(0) }
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<SubscriptionId, mpsc::Sender<subscription::Command>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a message, but not once the store's clock is past `not_after`: for what is tried again after an unknown
    /// outcome.
    pub(crate) async fn save(&self, request: SaveMessage, not_after: Option<Millis>) -> Result<Stamp> {
        validate_text(&request.message)?;
        let desk = &self.desk;
        // Known almost always; what a server forgot since is made anew.
        let room = match desk.known(request.room.id()) {
            Some(room) => room,
            None => desk.ensure(&request.room).await?,
        };
        let author = desk.settings.author();
        let payload = |text| Payload { device: author.device, author: author.name.clone(), text }.encode();
        let (shown, once) = match request.once {
            true => (String::new(), Some(request.message.into_bytes())),
            false => (request.message, None),
        };
        let new = NewRecord {
            id: request.id.unwrap_or_else(MessageId::random),
            room: request.room.id(),
            lifetime: request.lifetime.unwrap_or(room.lifetime),
            not_after,
            payload: payload(shown)?,
            once,
        };
        match desk.store.save(new.clone()).await {
            Err(error) if error.code == Code::NotFound => {
                desk.ensure(&request.room).await?;
                desk.store.save(new).await
            }
            answer => answer,
        }
    }

    /// What changes in the store, and its clock as far as it is known: for the outbox.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    fn command(&self, subscription: SubscriptionId, command: subscription::Command) -> Result<()> {
        let sender = self.subscriptions().get(&subscription).cloned();
        let over = || Error::new(Code::NotFound, "there is no such subscription");
        sender.ok_or_else(over)?.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => over(),
            // It waits for a snapshot, or its receiver does not keep up.
            mpsc::error::TrySendError::Full(_) => Error::new(Code::Unreachable, "the subscription does not keep up"),
        })
    }
}

#[async_trait]
impl Api for Messenger {
    async fn save_message(&self, request: SaveMessage) -> Result<Stamp> {
        self.save(request, None).await
    }

    async fn get_message(&self, id: MessageId) -> Result<Message> {
        let record = self.desk.store.get(id).await?;
        let now = self.desk.now_for(record.deadline).await?;
        self.desk.read(record, now).await
    }

    async fn get_all_messages(&self, request: GetAllMessages) -> Result<Messages> {
        self.desk.page(&request.room, request.before, request.limit.unwrap_or(PAGE)).await
    }

    async fn delete_message(&self, id: MessageId) -> Result<()> {
        self.desk.store.delete(id).await
    }

    async fn set_lifetime(&self, request: SetLifetime) -> Result<Stamp> {
        let seen = self.desk.store.get(request.id).await?.deadline;
        self.desk.store.set_lifetime(request.id, seen, request.lifetime, None).await
    }

    async fn claim_message(&self, request: ClaimMessage) -> Result<String> {
        let bytes = self.desk.store.claim(request.id, *request.nonce.as_bytes()).await?;
        String::from_utf8(bytes).map_err(|_| Error::new(Code::Corrupt, "the message cannot be read"))
    }

    async fn list_rooms(&self) -> Result<Vec<Room>> {
        self.desk.rooms().await
    }

    async fn put_room(&self, request: PutRoom) -> Result<Room> {
        let room = self.desk.store.put_room(request).await?;
        self.desk.note(room.clone());
        Ok(room)
    }

    async fn konnichiwa(&self) -> Result<Konnichiwa> {
        let asked = self.desk.time.asked();
        let health = self.desk.store.health(true).await?;
        self.desk.time.sample(health.now, asked);
        Ok(Konnichiwa {
            greeting: "Konnichiwa!".to_owned(),
            kind: health.kind,
            version: health.version,
            round_trip: health.round_trip,
            clock_difference: self.desk.time.ahead_of_wall(),
            now: health.now,
            findings: health.findings,
            skipped: health.skipped,
        })
    }

    async fn events(&self, request: Subscribe) -> Result<Subscription> {
        let id = SubscriptionId(self.last_subscription.fetch_add(1, Ordering::Relaxed) + 1);
        let (commands, events) = subscription::start(self.desk.clone(), request).await?;
        let mut subscriptions = self.subscriptions();
        subscriptions.retain(|_, commands| !commands.is_closed());
        subscriptions.insert(id, commands);
        Ok(Subscription { id, events })
    }

    async fn show(&self, request: Show) -> Result<()> {
        let command = subscription::Command::Show { room: request.room, before: request.before };
        self.command(request.subscription, command)
    }

    async fn hide(&self, subscription: SubscriptionId, room: RoomName) -> Result<()> {
        self.command(subscription, subscription::Command::Hide { room })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::TestClock,
        event::{Event, Why},
        lifetime::Lifetime,
        store::{LARGEST_PAYLOAD, memory::MemoryStore},
    };

    struct Bench {
        messenger: Messenger,
        store: Arc<MemoryStore>,
        clock: Arc<TestClock>,
        _folder: tempfile::TempDir,
    }

    async fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let settings = SettingsFile::load_from(&folder.path().join("settings.json")).unwrap();
        let clock = Arc::new(TestClock::default());
        let store = Arc::new(MemoryStore::open(clock.clone()));
        let messenger = Messenger::new(store.clone(), settings, clock.clone());
        Bench { messenger, store, clock, _folder: folder }
    }

    fn text(message: &str) -> SaveMessage {
        let lifetime = Some(Lifetime::from_millis(10_000).unwrap());
        SaveMessage { id: None, room: RoomName::lobby(), message: message.to_owned(), lifetime, once: false }
    }

    async fn next(subscription: &mut Subscription) -> Event {
        tokio::time::timeout(Duration::from_secs(30), subscription.events.recv()).await.unwrap().unwrap()
    }

    /// Passes over the snapshot; answers with the texts of its page.
    async fn snapshot(subscription: &mut Subscription) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            match next(subscription).await {
                Event::Page { messages, replace, .. } => {
                    assert!(replace);
                    texts.extend(messages.into_iter().map(|message| message.message));
                }
                Event::Link { .. } => return texts,
                Event::Room { .. } | Event::Reset => {}
                other => panic!("not in a snapshot: {other:?}"),
            }
        }
    }

    fn lobby() -> Subscribe {
        Subscribe { rooms: vec![RoomName::lobby()], expiry: false }
    }

    #[tokio::test]
    async fn what_is_saved_is_read_back_as_mine() {
        let Bench { messenger, clock, .. } = bench().await;
        let stamp = messenger.save_message(text("see `this`")).await.unwrap();
        clock.advance(3_000);
        let message = messenger.get_message(stamp.id).await.unwrap();
        assert_eq!((message.message.as_str(), message.mine, message.expires_in), ("see `this`", true, 7_000));
        assert_eq!(message.pieces.unwrap().len(), 2);
        let request = GetAllMessages { room: RoomName::lobby(), before: None, limit: None };
        assert_eq!(messenger.get_all_messages(request).await.unwrap().messages.len(), 1);
    }

    #[tokio::test]
    async fn bad_input_is_refused_and_nothing_is_stored() {
        let Bench { messenger, .. } = bench().await;
        for (message, code) in
            [("", Code::Invalid), (" \n ", Code::Invalid), (&*"x".repeat(32 * 1024 + 1), Code::TooLarge)]
        {
            assert_eq!(messenger.save_message(text(message)).await.unwrap_err().code, code);
        }
        assert_eq!(messenger.get_message(MessageId::random()).await.unwrap_err().code, Code::NotFound);
        assert_eq!(messenger.list_rooms().await.unwrap()[0].live, 0);
    }

    #[tokio::test]
    async fn a_once_text_is_in_no_list() {
        let Bench { messenger, .. } = bench().await;
        let stamp = messenger.save_message(SaveMessage { once: true, ..text("secret") }).await.unwrap();
        let message = messenger.get_message(stamp.id).await.unwrap();
        assert!(message.once && message.message.is_empty() && message.pieces.is_none());
        let claim = ClaimMessage { id: stamp.id, nonce: uuid::Uuid::new_v4() };
        assert_eq!(messenger.claim_message(claim).await.unwrap(), "secret");
        assert_eq!(messenger.get_message(stamp.id).await.unwrap_err().code, Code::NotFound);
    }

    #[tokio::test]
    async fn one_bad_record_never_hides_the_good_ones() {
        let Bench { messenger, store, .. } = bench().await;
        messenger.save_message(text("good")).await.unwrap();
        for payload in [vec![], vec![9], vec![1, 255], vec![0; LARGEST_PAYLOAD]] {
            let (id, room) = (MessageId::random(), RoomName::lobby().id());
            let new = NewRecord { id, room, lifetime: Lifetime::DEFAULT, not_after: None, payload, once: None };
            store.save(new).await.unwrap();
        }
        let mut subscription = messenger.events(lobby()).await.unwrap();
        assert_eq!(snapshot(&mut subscription).await, ["good"]);
    }

    #[tokio::test]
    async fn a_subscription_begins_with_a_snapshot_and_follows_in_order() {
        let Bench { messenger, .. } = bench().await;
        messenger.save_message(text("before")).await.unwrap();
        let mut subscription = messenger.events(lobby()).await.unwrap();
        assert_eq!(snapshot(&mut subscription).await, ["before"]);
        let stamp = messenger.save_message(text("after")).await.unwrap();
        assert!(matches!(next(&mut subscription).await, Event::Saved { message } if message.id == stamp.id));
        messenger.delete_message(stamp.id).await.unwrap();
        let ended = Event::Ended { id: stamp.id, why: Why::Deleted };
        assert_eq!(next(&mut subscription).await, ended);
    }

    #[tokio::test]
    async fn a_page_never_undoes_a_deletion() {
        let Bench { messenger, .. } = bench().await;
        let mut ids = Vec::new();
        for n in 0..PAGE + 10 {
            ids.push(messenger.save_message(text(&n.to_string())).await.unwrap());
        }
        let mut subscription = messenger.events(lobby()).await.unwrap();
        assert_eq!(snapshot(&mut subscription).await.len(), PAGE);
        messenger.delete_message(ids[3].id).await.unwrap();
        let show = Show { subscription: subscription.id, room: RoomName::lobby(), before: Some(ids[10].seq) };
        messenger.show(show).await.unwrap();
        let mut shown = Vec::new();
        for _ in 0..2 {
            match next(&mut subscription).await {
                Event::Page { messages, replace: false, more: false, .. } => {
                    shown.extend(messages.into_iter().map(|m| m.id))
                }
                Event::Ended { id, .. } => shown.retain(|shown| *shown != id),
                other => panic!("{other:?}"),
            }
        }
        let expected: Vec<_> = ids[..10].iter().map(|stamp| stamp.id).filter(|id| *id != ids[3].id).collect();
        assert_eq!(shown, expected);
    }

    #[tokio::test]
    async fn a_step_of_the_clock_brings_a_new_snapshot() {
        let Bench { messenger, clock, .. } = bench().await;
        messenger.save_message(text("ten seconds")).await.unwrap();
        let mut subscription = messenger.events(lobby()).await.unwrap();
        assert_eq!(snapshot(&mut subscription).await.len(), 1);
        clock.step(3_600_000);
        assert_eq!(next(&mut subscription).await, Event::Reset);
        assert!(snapshot(&mut subscription).await.is_empty());
        clock.step(-3_600_000);
        assert_eq!(next(&mut subscription).await, Event::Reset);
        assert_eq!(snapshot(&mut subscription).await.len(), 1);
    }

    #[tokio::test]
    async fn a_receiver_that_does_not_keep_up_ends_with_what_is_alive() {
        let Bench { messenger, .. } = bench().await;
        let mut subscription = messenger.events(lobby()).await.unwrap();
        let mut last = None;
        for n in 0..5_000 {
            last = Some(messenger.save_message(text(&n.to_string())).await.unwrap().id);
        }
        let mut resets = 0;
        loop {
            match next(&mut subscription).await {
                Event::Reset => resets += 1,
                Event::Page { messages, .. } if messages.last().map(|message| message.id) == last => break,
                _ => {}
            }
        }
        assert!(resets > 0);
    }

    #[tokio::test]
    async fn faces_without_a_clock_are_told_of_expiry() {
        let Bench { messenger, clock, .. } = bench().await;
        let first = messenger.save_message(text("first")).await.unwrap().id;
        let mut subscription = messenger.events(Subscribe { expiry: true, ..lobby() }).await.unwrap();
        snapshot(&mut subscription).await;
        clock.advance(9_999);
        let second = messenger.save_message(text("second")).await.unwrap().id;
        assert!(matches!(next(&mut subscription).await, Event::Saved { .. }));
        clock.advance(1);
        assert_eq!(next(&mut subscription).await, Event::Ended { id: first, why: Why::Expired });
        clock.advance(9_999);
        assert_eq!(next(&mut subscription).await, Event::Ended { id: second, why: Why::Expired });
    }
}
