//! What a store is, as a contract: [`Store`]. Three implementations stand beside it: `memory` (the reference), `sled`
//! (this computer), and `redis` (a team). What every one of them must show is in `contract`.
//!
//! A payload is opaque bytes to a store. Times are milliseconds on the store's own clock; a message is gone when
//! `now >= deadline`, whatever has been swept. Nothing travels at a deadline: every side knows it.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod health;
pub mod memory;
pub mod redis;
pub mod sled;
mod sweeper;

use std::{fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::Stream;

pub use self::redis::{Access, Password, RedisAddress, RedisStore, is_about_password};
use crate::{
    clock::SystemClock,
    error::{Code, Error, Result},
    event::Link,
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
};
pub use address::Address;
pub use health::{Finding, Grade, Health};

mod address;

/// The largest payload, in bytes: 64 KiB.
pub const LARGEST_PAYLOAD: usize = 64 * 1024;
/// The most records of one page.
pub const LARGEST_PAGE: usize = 200;
/// How long a store remembers an id that ended, so that a retry never revives it: 10 min.
pub const REMEMBERED: Millis = 10 * 60_000;
/// How long the same nonce gets a claimed payload again, in ms.
pub const CLAIM_REPEATS: Millis = 30_000;
/// A room is forgotten this long after its last activity, in ms: 30 d.
pub const ROOM_KEPT: Millis = 30 * 24 * 60 * 60_000;

/// What a caller hands to [`Store::save`].
#[derive(Clone)]
pub struct NewRecord {
    /// Made by the caller: a save is idempotent on it.
    pub id: MessageId,
    /// A room that exists.
    pub room: RoomId,
    /// From acceptance on; no longer than the room's longest.
    pub lifetime: Lifetime,
    /// By the store's clock: later than this the answer is `ended`. Absent: whenever.
    pub not_after: Option<Millis>,
    /// What everybody may read, at most 64 KiB.
    pub payload: Vec<u8>,
    /// What the first to claim it reads, and no page carries; at most 64 KiB. Present: the message is to be seen once.
    pub once: Option<Vec<u8>>,
}

/// What a store gives back of a message that is alive.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The caller's id.
    pub id: MessageId,
    /// Its room.
    pub room: RoomId,
    /// Order of acceptance: ms * 1024 + n.
    pub seq: u64,
    /// When it was accepted.
    pub accepted: Millis,
    /// Gone when the store's clock reaches this.
    pub deadline: Millis,
    /// To be seen once: the rest is had by [`Store::claim`].
    pub once: bool,
    /// What everybody may read.
    pub payload: Vec<u8>,
}

impl Record {
    /// The stamp that a save of this record was answered with, as of `now`.
    pub fn stamp(&self, now: Millis) -> Stamp {
        Stamp { id: self.id, seq: self.seq, accepted: self.accepted, deadline: self.deadline, now }
    }
}

/// Everything but the payload: logs may show this.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, seq, accepted, deadline, once, .. } = self;
        write!(f, "Record {{ id: {id}, seq: {seq}, accepted: {accepted}, deadline: {deadline}, once: {once}, .. }}")
    }
}

/// A page of a room, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// Only what is alive.
    pub records: Vec<Record>,
    /// How many were skipped because a newer version of ours wrote them.
    pub newer: usize,
    /// Whether older ones are alive.
    pub more: bool,
    /// The store's clock.
    pub now: Millis,
}

/// Why a message ended. Expiry never travels: it is arithmetic on the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// [`Store::delete`].
    Deletion,
    /// [`Store::claim`].
    Claim,
}

/// What changed, in the store's order.
#[derive(Clone, Debug)]
pub enum Change {
    /// Accepted.
    Saved(Record),
    /// Its deadline is another one.
    Moved {
        /// Of which message.
        id: MessageId,
        /// The new deadline.
        deadline: Millis,
    },
    /// Ended before its deadline.
    Ended {
        /// Which message.
        id: MessageId,
        /// How.
        by: EndedBy,
    },
    /// A room is new or has changed.
    Room(Room),
    /// Changes may have been missed, or the clock stepped: read again what is shown.
    Reset,
    /// The server is another one than before, or was restarted without its data; a `Reset` follows.
    Forgot,
    /// The link to a store that is not on this computer; that it stands again is told by a `Reset`.
    Link(Link),
}

/// The one ordered stream of a store's changes, from the moment it was asked for.
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// Where messages live until they end. At most ten methods.
///
/// Every method may fail with `unreachable`, `full`, `corrupt` or `internal`; what else it may say stands with it.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Accepts a message: stamps order and deadline by the store's clock, durably, then tells it.
    ///
    /// A known id is answered with its first stamp and changes nothing. `ended` when that message has ended, or was
    /// deleted before it came, within the last 10 min, or when `not_after` has passed; `not_found` when there is no
    /// such room; `out_of_range` over the room's longest; `too_large` over 64 KiB.
    async fn save(&self, new: NewRecord) -> Result<Stamp>;

    /// One live message, else `not_found`.
    async fn get(&self, id: MessageId) -> Result<Record>;

    /// Up to `limit` (1 to 200) live messages of a room, newest first, older than `before` where it is given. A page is
    /// short only where no older message is alive. An unknown room reads as empty.
    async fn page(&self, room: RoomId, before: Option<u64>, limit: usize) -> Result<Page>;

    /// Ends a message now, for everybody. An unknown id is remembered as ended too, and answered with `not_found`.
    async fn delete(&self, id: MessageId) -> Result<()>;

    /// Gives a message `remaining` from now on, if its deadline is still the one that the caller saw (else `taken`);
    /// with `payload` it replaces what everybody reads. `not_found` when it is not alive, `out_of_range` past its
    /// acceptance and the room's longest, `too_large` over 64 KiB.
    async fn set_lifetime(
        &self,
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
    ) -> Result<Stamp>;

    /// Ends a message to be seen once and gives its other payload to the first who asks; the same nonce gets it again
    /// within 30 s. `taken` for everybody else while its id is remembered, `not_found` when it is not alive, `invalid`
    /// when it is not to be seen once.
    async fn claim(&self, id: MessageId, nonce: [u8; 16]) -> Result<Vec<u8>>;

    /// The rooms that are kept, each with its live count, by name.
    async fn rooms(&self) -> Result<Vec<Room>>;

    /// Creates a room, or changes what is given; tells it when something changed.
    async fn put_room(&self, put: PutRoom) -> Result<Room>;

    /// Whether the store is there, by a real round trip through it. `urgent`: somebody asks, so that a store that is away
    /// is tried at once, and not when its turn comes.
    async fn health(&self, urgent: bool) -> Result<Health>;

    /// Every change from now on. A reader that does not keep up gets `Reset` in the place of what it missed.
    fn changes(&self) -> Changes;
}

/// Opens the store of an address; `in_use`, `corrupt`, `unsupported`, `full`, `unreachable`, `refused` where it cannot be
/// opened.
pub async fn open(address: &Address, access: &Access) -> Result<Arc<dyn Store>> {
    let clock = Arc::new(SystemClock);
    match address {
        Address::Memory => Ok(Arc::new(memory::MemoryStore::open(clock))),
        Address::Sled { folder } => Ok(Arc::new(sled::SledStore::open(folder, clock).await?)),
        Address::Redis(address) => {
            let store = redis::RedisStore::start(address.clone(), access.clone(), clock)?;
            store.connected().await?;
            Ok(Arc::new(store))
        }
    }
}

/// Moves a damaged embedded store aside, so that the next `open` makes an empty one; `in_use` where it is open.
pub fn start_empty(address: &Address) -> Result<()> {
    match address {
        Address::Memory | Address::Redis(_) => Ok(()),
        Address::Sled { folder } => sled::start_empty(folder),
    }
}

/// Refuses what no store takes.
fn validate(payload: &[u8], once: Option<&[u8]>) -> Result<()> {
    if payload.len().max(once.map_or(0, <[u8]>::len)) > LARGEST_PAYLOAD {
        return Err(Error::new(Code::TooLarge, "a payload is at most 64 KiB"));
    }
    Ok(())
}

/// Refuses a lifetime over what the room allows.
fn validate_lifetime(lifetime: Lifetime, room: &Room) -> Result<()> {
    if lifetime > room.longest {
        return Err(Error::new(Code::OutOfRange, format!("a message lives at most {} in this room", room.longest)));
    }
    Ok(())
}

fn ended() -> Error {
    Error::new(Code::Ended, "this message has ended")
}

fn seen_by_somebody_else() -> Error {
    Error::new(Code::Taken, "somebody else has seen it")
}

fn no_such_room() -> Error {
    Error::new(Code::NotFound, "there is no such room")
}

/// The stream of a broadcast: what a reader missed becomes one `Reset`.
fn changes_of(receiver: tokio::sync::broadcast::Receiver<Change>) -> Changes {
    use tokio::sync::broadcast::error::RecvError;
    Box::pin(futures_util::stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(change) => Some((change, receiver)),
            Err(RecvError::Lagged(_)) => Some((Change::Reset, receiver)),
            Err(RecvError::Closed) => None,
        }
    }))
}
