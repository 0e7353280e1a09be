//! A room: its name, the id that stores know it by, and its lifetimes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Code, Error, Result},
    lifetime::Lifetime,
};

/// The room that everybody is in.
pub const LOBBY: &str = "lobby";
/// The longest room name, in characters.
const LONGEST_ROOM_NAME: usize = 64;

/// A room's name: 1 to 64 characters, no control characters, no white space at its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct RoomName(String);

impl RoomName {
    /// The lobby.
    pub fn lobby() -> Self {
        Self(LOBBY.to_owned())
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stores know the room by.
    pub fn id(&self) -> RoomId {
        let digest = Sha256::digest(self.0.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        RoomId(id)
    }
}

impl FromStr for RoomName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let length = text.chars().count();
        if (1..=LONGEST_ROOM_NAME).contains(&length) && text.trim() == text && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new(Code::Invalid, "a room's name has 1 to 64 characters, and no control characters"))
        }
    }
}

impl TryFrom<String> for RoomName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The first 16 bytes of SHA-256 of the name, so that names never stand in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub [u8; 16]);

/// A room as stores keep it and faces show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// What a message lives for unless its author chooses otherwise.
    pub lifetime: Lifetime,
    /// The longest that a message may live here.
    pub longest: Lifetime,
    /// How many messages are alive.
    #[cfg_attr(test, ts(type = "number"))]
    pub live: u64,
}

/// What `put_room` takes: creates the room, or changes what is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PutRoom {
    /// Which room.
    pub name: RoomName,
    /// Its default lifetime; absent: as it is, and 1 h for a new room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub lifetime: Option<Lifetime>,
    /// Its longest lifetime; absent: as it is, and 30 d for a new room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub longest: Option<Lifetime>,
}

impl PutRoom {
    /// Creates the room if there is none, and changes nothing otherwise.
    pub fn ensure(name: RoomName) -> Self {
        Self { name, lifetime: None, longest: None }
    }

    /// The room that comes of it; `out_of_range` where the default would be longer than the longest.
    pub fn applied_to(self, room: Option<Room>) -> Result<Room> {
        let mut room =
            room.unwrap_or(Room { name: self.name, lifetime: Lifetime::DEFAULT, longest: Lifetime::LONGEST, live: 0 });
        room.lifetime = self.lifetime.unwrap_or(room.lifetime);
        room.longest = self.longest.unwrap_or(room.longest);
        if room.lifetime > room.longest {
            return Err(Error::new(Code::OutOfRange, "a room's default lifetime cannot be longer than its longest"));
        }
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        for name in ["lobby", "train to Porto", "日本", &"x".repeat(64)] {
            assert!(name.parse::<RoomName>().is_ok(), "{name}");
        }
        for name in ["", " ", " lobby", "a\nb", &"x".repeat(65)] {
            assert!(name.parse::<RoomName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_default_longer_than_the_longest_is_refused() {
        let put =
            PutRoom { lifetime: "1d".parse().ok(), longest: "1h".parse().ok(), ..PutRoom::ensure(RoomName::lobby()) };
        assert_eq!(put.applied_to(None).unwrap_err().code, Code::OutOfRange);
    }

    #[test]
    fn putting_again_changes_only_what_is_given() {
        let room =
            PutRoom { lifetime: "8h".parse().ok(), ..PutRoom::ensure(RoomName::lobby()) }.applied_to(None).unwrap();
        assert_eq!(PutRoom::ensure(RoomName::lobby()).applied_to(Some(room.clone())).unwrap(), room);
    }
}
