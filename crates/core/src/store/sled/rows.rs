//! How things are written down: the keys of the trees, and their values as postcard behind a version byte. Nothing here
//! touches a disk.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `m` | room, seq, part | part 0: [`Head`]; then chunks of the payload |
//! | `o` | id, part | chunks of the payload of a message to be seen once |
//! | `id` | id | [`Entry`]: where a message is, or that its id is remembered |
//! | `x` | moment, id | nothing: at this moment something is to be done about this id |
//! | `r` | room | [`RoomRow`] |

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Code, Error, Result},
    lifetime::Millis,
    message::MessageId,
    room::{Room, RoomId},
};

/// Values are at most 8 KiB, or sled moves them into files of their own that it never syncs.
pub(super) const CHUNK: usize = 7 * 1024;
const VERSION: u8 = 1;

/// The first row of a message.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: MessageId,
    pub(super) accepted: Millis,
    pub(super) deadline: Millis,
    pub(super) once: bool,
    /// How many rows of payload follow, each at most [`CHUNK`].
    pub(super) parts: u16,
    /// The payload's first chunk.
    pub(super) first: Vec<u8>,
}

/// What is known of an id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    Alive(Slot),
    /// It has ended, and is remembered until then, so that a retry does not revive it.
    Dead {
        until: Millis,
        claim: Option<Claim>,
    },
}

/// Where a living message is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) room: RoomId,
    pub(super) seq: u64,
    pub(super) deadline: Millis,
    /// How many rows of payload follow the head in `m`.
    pub(super) parts: u16,
    /// How many rows are in `o`; present where the message is to be seen once.
    pub(super) once_parts: Option<u16>,
}

/// Who has seen a message to be seen once.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) nonce: [u8; 16],
    /// Until then the same nonce gets the payload again; its rows go at that moment.
    pub(super) until: Millis,
    pub(super) once_parts: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRow {
    pub(super) room: Room,
    pub(super) last_seq: u64,
    pub(super) last_activity: Millis,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, vec![VERSION])
        .map_err(|error| Error::new(Code::Internal, format!("a row could not be written: {error}")))
}

/// `corrupt` for anything that is not a row of this kind.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let corrupt = || Error::new(Code::Corrupt, "a row of the store cannot be read");
    match bytes.split_first() {
        Some((&VERSION, body)) => postcard::from_bytes(body).map_err(|_| corrupt()),
        _ => Err(corrupt()),
    }
}

/// Key in `m`.
pub(super) fn message(room: RoomId, seq: u64, part: u16) -> [u8; 26] {
    let mut key = [0; 26];
    key[..16].copy_from_slice(&room.0);
    key[16..24].copy_from_slice(&seq.to_be_bytes());
    key[24..].copy_from_slice(&part.to_be_bytes());
    key
}

/// The seq and part of a key in `m`; `None` for one that is none of ours.
pub(super) fn seq_and_part(key: &[u8]) -> Option<(u64, u16)> {
    let seq = key.get(16..24)?.try_into().ok()?;
    let part = key.get(24..26)?.try_into().ok()?;
    (key.len() == 26).then(|| (u64::from_be_bytes(seq), u16::from_be_bytes(part)))
}

/// Key in `o`.
pub(super) fn once(id: MessageId, part: u16) -> [u8; 18] {
    let mut key = [0; 18];
    key[..16].copy_from_slice(id.as_bytes());
    key[16..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Key in `x`.
pub(super) fn due(at: Millis, id: MessageId) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&at.to_be_bytes());
    key[8..].copy_from_slice(id.as_bytes());
    key
}

/// The moment and id of a key in `x`; `None` for one that is none of ours.
pub(super) fn moment_and_id(key: &[u8]) -> Option<(Millis, MessageId)> {
    let at = key.get(..8)?.try_into().ok()?;
    let id = key.get(8..24)?.try_into().ok()?;
    (key.len() == 24).then(|| (Millis::from_be_bytes(at), MessageId::from_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_what_they_stand_for() {
        let room = RoomId([7; 16]);
        assert!(message(room, 255, 9) < message(room, 256, 0));
        assert!(message(room, 256, 0) < message(room, 256, 1));
        assert_eq!(seq_and_part(&message(room, 256, 3)), Some((256, 3)));
        let id = MessageId::random();
        assert!(due(255, id) < due(256, MessageId::from_bytes([0; 16])));
        assert_eq!(moment_and_id(&due(256, id)), Some((256, id)));
        assert_eq!((seq_and_part(b"short"), moment_and_id(b"short")), (None, None));
    }

    #[test]
    fn foreign_rows_are_corrupt_and_never_panic() {
        let row =
            encode(&Entry::Dead { until: 5, claim: Some(Claim { nonce: [1; 16], until: 4, once_parts: 2 }) }).unwrap();
        for end in 0..row.len() {
            assert_eq!(decode::<Entry>(&row[..end]).unwrap_err().code, Code::Corrupt);
        }
        for first in 0..=255 {
            let _ = decode::<Entry>(&[VERSION, first, 255, 255, 255, 255]);
            let _ = decode::<RoomRow>(&[first, 255]);
        }
    }
}
