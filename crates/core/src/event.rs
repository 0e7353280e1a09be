//! What changes a list: the one ordered stream of events that every face follows, as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    lifetime::{Lifetime, Millis},
    message::{Message, MessageId, Stamp},
    room::{Room, RoomName},
};

/// Why a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Why {
    /// Its deadline came.
    Expired,
    /// Somebody deleted it.
    Deleted,
    /// It was to be seen once, and was.
    Seen,
}

/// The link to the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Link {
    /// It answers.
    Connected {
        /// The last round trip, in ms.
        round_trip: f64,
    },
    /// It is being tried again.
    Reconnecting {
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// It does not answer.
    Offline {
        /// Since when, in ms since 1970.
        #[cfg_attr(test, ts(type = "number"))]
        since: Millis,
    },
    /// It answers, and lets this client do nothing: tried again only when somebody asks.
    Refused {
        /// Why.
        message: String,
    },
}

/// A message that waits to be sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Waiting {
    /// It will have this id.
    pub id: MessageId,
    /// The room it is for.
    pub room: RoomName,
    /// The text as typed.
    pub message: String,
    /// What it will live for once it is accepted.
    pub lifetime: Lifetime,
    /// To be seen once.
    pub once: bool,
    /// Why it is not tried again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub failure: Option<Error>,
}

/// Everything but what somebody wrote: logs may show this.
impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, lifetime, once, failure, .. } = self;
        write!(f, "Waiting {{ id: {id}, lifetime: {lifetime}, once: {once}, failure: {failure:?}, .. }}")
    }
}

/// One event. Applying it twice changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Event {
    /// A message was accepted.
    Saved {
        /// It.
        message: Message,
    },
    /// Its deadline is another one.
    Moved {
        /// Of which message.
        id: MessageId,
        /// The new deadline, in ms on the store's clock.
        #[cfg_attr(test, ts(type = "number"))]
        deadline: Millis,
    },
    /// A message is gone. `expired` comes only to subscriptions without a clock of their own.
    Ended {
        /// Which.
        id: MessageId,
        /// Why.
        why: Why,
    },
    /// A part of an open room.
    Page {
        /// Which room.
        room: RoomName,
        /// In order of acceptance.
        messages: Vec<Message>,
        /// How many were skipped because they need a newer version of this program.
        newer: usize,
        /// Takes the place of every accepted message of the room that is shown.
        replace: bool,
        /// Whether older ones are alive.
        more: bool,
        /// The store's clock when it was read, in ms.
        #[cfg_attr(test, ts(type = "number"))]
        now: Millis,
    },
    /// A room is new or has changed.
    Room {
        /// It.
        room: Room,
    },
    /// What is shown may be stale: a new snapshot follows in this stream.
    Reset,
    /// The server forgot everything, because it was restarted without its data; `reset` follows.
    Forgot,
    /// A message of one's own that the store has not accepted yet. Told again where something about it changes.
    Waiting {
        /// It.
        message: Waiting,
    },
    /// A message of one's own that waited has been accepted; its event may have been missed.
    Accepted {
        /// The store's answer.
        stamp: Stamp,
    },
    /// A message of one's own waited too long: it is erased, and was not sent.
    Unsent {
        /// Which.
        id: MessageId,
    },
    /// The link to the store.
    Link {
        /// Its state.
        link: Link,
    },
}

/// Events that travel together to a window or a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Batch {
    /// Counts from 1 within a subscription; the receiver acknowledges it.
    #[cfg_attr(test, ts(type = "number"))]
    pub number: u64,
    /// In order.
    pub events: Vec<Event>,
}
