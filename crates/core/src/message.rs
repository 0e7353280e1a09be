//! A message: its id, what a store keeps of it (a payload that only faces can read), and the one JSON form that every
//! face shows. Limits and validation of what people write stand here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    markup::Piece,
    room::RoomName,
};

/// The longest text, in bytes of UTF-8: 32 KiB.
pub const LONGEST_TEXT: usize = 32 * 1024;
/// The longest display name, in characters.
pub const LONGEST_NAME: usize = 64;

/// A random UUID (v4: it tells no time), written as 32 hex digits; made by whoever saves, so that a retry is idempotent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id's 16 bytes, as a store keys by them.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl FromStr for MessageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match Uuid::try_parse(text) {
            Ok(id) if text.len() == 32 => Ok(Self(id)),
            _ => Err(Error::new(Code::Invalid, "a message's id is 32 hex digits")),
        }
    }
}

impl TryFrom<String> for MessageId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A message as every face shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Message {
    /// What finds it.
    pub id: MessageId,
    /// The room's name.
    pub room: RoomName,
    /// The name its author went by.
    pub author: String,
    /// Whether it was written on this device.
    pub mine: bool,
    /// The text as typed, byte for byte; empty for a message to be seen once.
    pub message: String,
    /// The text cut into what a face paints; absent where all of it is one plain piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub pieces: Option<Vec<Piece>>,
    /// To be seen once: the text is had by `claim_message` alone.
    pub once: bool,
    /// Order of acceptance: milliseconds * 1024 + n.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// When the store accepted it, in ms on the store's clock.
    #[cfg_attr(test, ts(type = "number"))]
    pub accepted: Millis,
    /// Gone when the store's clock reaches this, in ms.
    #[cfg_attr(test, ts(type = "number"))]
    pub deadline: Millis,
    /// What was left when this was written out, in ms.
    #[cfg_attr(test, ts(type = "number"))]
    pub expires_in: Millis,
}

/// Everything but what somebody wrote: logs may show this.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, seq, deadline, once, .. } = self;
        write!(f, "Message {{ id: {id}, seq: {seq}, deadline: {deadline}, once: {once}, .. }}")
    }
}

/// Who speaks on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The device's random id; what makes a message "mine".
    pub device: Uuid,
    /// The display name.
    pub name: String,
}

/// What a store keeps of a message as opaque bytes: postcard behind a version byte.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The author's device.
    pub device: Uuid,
    /// The name the author went by.
    pub author: String,
    /// The text; empty for a message to be seen once.
    pub text: String,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload {{ .. }}")
    }
}

/// The version of [`Payload`] that this program writes, and the only one it reads.
const PAYLOAD_VERSION: u8 = 1;

impl Payload {
    /// As bytes for a store.
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![PAYLOAD_VERSION])
            .map_err(|error| Error::new(Code::Internal, format!("a message could not be written: {error}")))
    }

    /// From a store's bytes, which anybody may have written: `unsupported` for another version, `corrupt` for
    /// anything that breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = || Error::new(Code::Corrupt, "a message cannot be read");
        let (version, body) = bytes.split_first().ok_or_else(corrupt)?;
        if *version != PAYLOAD_VERSION {
            return Err(Error::new(Code::Unsupported, "a message needs a newer version"));
        }
        let payload: Self = postcard::from_bytes(body).map_err(|_| corrupt())?;
        let sound = payload.text.len() <= LONGEST_TEXT && validate_name(&payload.author).is_ok();
        if sound { Ok(payload) } else { Err(corrupt()) }
    }
}

/// Refuses blank text (`invalid`) and text over 32 KiB (`too_large`); everything else is kept byte for byte.
pub fn validate_text(text: &str) -> Result<()> {
    if text.len() > LONGEST_TEXT {
        Err(Error::new(Code::TooLarge, "a message is at most 32 KiB long"))
    } else if text.trim().is_empty() {
        Err(Error::new(Code::Invalid, "No message given"))
    } else {
        Ok(())
    }
}

/// Refuses a display name that is blank, over 64 characters, or holds control characters (`invalid`).
pub fn validate_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        Err(Error::new(Code::Invalid, "a display name cannot be blank"))
    } else if name.chars().count() > LONGEST_NAME {
        Err(Error::new(Code::Invalid, "a display name has at most 64 characters"))
    } else if name.chars().any(char::is_control) {
        Err(Error::new(Code::Invalid, "a display name holds no control characters"))
    } else {
        Ok(())
    }
}

/// What `save_message` takes.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SaveMessage {
    /// The caller's own id makes a retry idempotent; absent: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<MessageId>,
    /// Into which room.
    pub room: RoomName,
    /// The text, up to 32 KiB.
    pub message: String,
    /// Absent: the room's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub lifetime: Option<Lifetime>,
    /// To be seen once.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<bool>", optional))]
    pub once: bool,
}

impl fmt::Debug for SaveMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, lifetime, once, .. } = self;
        write!(f, "SaveMessage {{ id: {id:?}, lifetime: {lifetime:?}, once: {once}, .. }}")
    }
}

/// The store's answer to a save or a change of lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Stamp {
    /// Of which message.
    pub id: MessageId,
    /// Order of acceptance: milliseconds * 1024 + n.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// When it was accepted, in ms on the store's clock.
    #[cfg_attr(test, ts(type = "number"))]
    pub accepted: Millis,
    /// When it will be gone, in ms on the store's clock.
    #[cfg_attr(test, ts(type = "number"))]
    pub deadline: Millis,
    /// The store's clock now, in ms.
    #[cfg_attr(test, ts(type = "number"))]
    pub now: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload { device: Uuid::nil(), author: "Ana".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn an_id_is_32_hex_digits() {
        let id = MessageId::random();
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        for text in ["", "0", "9b41c07e-55aa-4be2-b9d0-4e77c1f20a93", "zz41c07e55aa4be2b9d04e77c1f20a93"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_kept_byte_for_byte() {
        for text in ["  two  spaces ", "nul \0 byte", "\u{202e}bidi", "*_`<b>"] {
            assert_eq!(Payload::decode(&payload(text).encode().unwrap()).unwrap().text, text);
        }
    }

    #[test]
    fn blank_and_long_texts_are_refused() {
        assert_eq!(validate_text(" \n\t").unwrap_err().code, Code::Invalid);
        assert!(validate_text(&"x".repeat(LONGEST_TEXT)).is_ok());
        assert_eq!(validate_text(&"x".repeat(LONGEST_TEXT + 1)).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn foreign_payloads_are_refused_with_a_code() {
        assert_eq!(Payload::decode(&[]).unwrap_err().code, Code::Corrupt);
        assert_eq!(Payload::decode(&[9, 1, 2]).unwrap_err().code, Code::Unsupported);
        assert_eq!(Payload::decode(&[1, 255, 255, 255]).unwrap_err().code, Code::Corrupt);
        let long = payload(&"x".repeat(LONGEST_TEXT + 1)).encode().unwrap();
        assert_eq!(Payload::decode(&long).unwrap_err().code, Code::Corrupt);
        let whole = payload("hello").encode().unwrap();
        for end in 0..whole.len() {
            assert!(Payload::decode(&whole[..end]).is_err());
        }
    }

    #[test]
    fn nothing_written_shows_in_debug() {
        let request = SaveMessage {
            id: None,
            room: "lobby".parse().unwrap(),
            message: "swordfish".to_owned(),
            lifetime: None,
            once: false,
        };
        assert!(!format!("{request:?} {:?}", payload("swordfish")).contains("swordfish"));
    }
}
