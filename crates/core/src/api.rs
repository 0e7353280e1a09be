//! The one seam of all faces: every operation that a face can ask for, and the event stream. `Messenger` implements it
//! over a store that this process owns. The operations' names are the same on every face.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    error::Result,
    event::Event,
    lifetime::{Lifetime, Millis},
    message::{Message, MessageId, SaveMessage, Stamp},
    room::{PutRoom, Room, RoomName},
    store::Finding,
};

/// What `get_all_messages` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetAllMessages {
    /// Of which room.
    pub room: RoomName,
    /// Absent: the newest page; else the page before the message of this `seq`, which may have ended meanwhile.
    #[serde(default)]
    pub before: Option<u64>,
    /// How many at most, 1 to 200; absent: 50.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A page of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// In order of acceptance.
    pub messages: Vec<Message>,
    /// How many were skipped because they need a newer version of this program.
    pub newer: usize,
    /// Whether older ones are alive.
    pub more: bool,
    /// The store's clock, in ms.
    pub now: Millis,
}

/// What `set_lifetime` takes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SetLifetime {
    /// Of which message.
    pub id: MessageId,
    /// What it has left from now on.
    pub lifetime: Lifetime,
}

/// What `claim_message` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimMessage {
    /// Which message.
    pub id: MessageId,
    /// Made by the caller: a retry with the same nonce gets the text again within 30 s.
    pub nonce: uuid::Uuid,
}

/// What `konnichiwa` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Konnichiwa {
    /// "Konnichiwa!"
    pub greeting: String,
    /// `memory`, `sled` or `redis`.
    pub kind: String,
    /// The engine's version.
    pub version: String,
    /// A real round trip through the store, in ms.
    pub round_trip: f64,
    /// The store's clock less this computer's, in ms.
    #[cfg_attr(test, ts(type = "number"))]
    pub clock_difference: i64,
    /// The store's clock, in ms.
    #[cfg_attr(test, ts(type = "number"))]
    pub now: Millis,
    /// What an audit of the server found.
    pub findings: Vec<Finding>,
    /// How often a value that is none of ours was met and skipped.
    #[cfg_attr(test, ts(type = "number"))]
    pub skipped: u64,
}

/// Names a subscription of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

/// What `events` takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Subscribe {
    /// The rooms that are open: their newest page comes with every snapshot.
    pub rooms: Vec<RoomName>,
    /// For faces without a clock of their own: `ended` also at the deadline.
    #[serde(default)]
    pub expiry: bool,
}

/// A subscription: a snapshot, then every change. Dropping the receiver ends it.
pub struct Subscription {
    /// For `show` and `hide`.
    pub id: SubscriptionId,
    /// Bounded: a receiver that does not keep up gets `reset` and a new snapshot instead of what it missed.
    pub events: mpsc::Receiver<Event>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription {{ id: {}, .. }}", self.id.0)
    }
}

/// What `show` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Show {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// Which room.
    pub room: RoomName,
    /// Absent: open the room with its newest page; else the page before the message of this `seq`.
    #[serde(default)]
    pub before: Option<u64>,
}

/// Every operation of every face. Errors are `{code, message}`; a store that cannot be reached answers `unreachable`.
#[async_trait]
pub trait Api: Send + Sync + fmt::Debug {
    /// Accepts a message into a room; idempotent on the caller's id. Refuses blank text (`invalid`), text over 32 KiB
    /// (`too_large`) and a lifetime that the room does not allow (`out_of_range`).
    async fn save_message(&self, request: SaveMessage) -> Result<Stamp>;
    /// One live message, else `not_found`.
    async fn get_message(&self, id: MessageId) -> Result<Message>;
    /// A room's live messages: the newest page, or the page before a message.
    async fn get_all_messages(&self, request: GetAllMessages) -> Result<Messages>;
    /// Gone now, for everybody.
    async fn delete_message(&self, id: MessageId) -> Result<()>;
    /// Shortens or extends a live message's life.
    async fn set_lifetime(&self, request: SetLifetime) -> Result<Stamp>;
    /// The text of a message to be seen once, to the first who asks (`taken` for all others).
    async fn claim_message(&self, request: ClaimMessage) -> Result<String>;
    /// The rooms, by name.
    async fn list_rooms(&self) -> Result<Vec<Room>>;
    /// Creates a room or changes its lifetimes.
    async fn put_room(&self, request: PutRoom) -> Result<Room>;
    /// Is the store there?
    async fn konnichiwa(&self) -> Result<Konnichiwa>;
    /// A subscription to everything that changes.
    async fn events(&self, request: Subscribe) -> Result<Subscription>;
    /// A page of a room, emitted **in the stream** of the subscription.
    async fn show(&self, request: Show) -> Result<()>;
    /// No more of that room.
    async fn hide(&self, subscription: SubscriptionId, room: RoomName) -> Result<()>;
}
