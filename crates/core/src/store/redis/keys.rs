//! The names of a space's keys, and the members of its sets. All of a space lies in one slot, by its hash tag, so that
//! every write is one atomic script. Names of rooms never stand in keys.

use crate::{message::MessageId, room::RoomId};

/// A space's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    pub(super) fn new(space: Option<&str>) -> Self {
        let tag = space.map_or_else(|| "{tm}:".to_owned(), |space| format!("{{tm:{space}}}:"));
        Self { tag }
    }

    fn key(&self, kind: &str, id: &[u8]) -> Vec<u8> {
        [self.tag.as_bytes(), kind.as_bytes(), id].concat()
    }

    /// A message: header and payload.
    pub(super) fn message(&self, id: MessageId) -> Vec<u8> {
        self.key("m:", id.as_bytes())
    }

    /// What every message's key begins with.
    pub(super) fn messages(&self) -> Vec<u8> {
        self.key("m:", b"")
    }

    /// The payload of a message that is seen once.
    pub(super) fn once(&self, id: MessageId) -> Vec<u8> {
        self.key("once:", id.as_bytes())
    }

    /// The nonce of whoever claimed it.
    pub(super) fn seen(&self, id: MessageId) -> Vec<u8> {
        self.key("seen:", id.as_bytes())
    }

    /// A room's order: id by seq.
    pub(super) fn order(&self, room: RoomId) -> Vec<u8> {
        self.key("ix:", &room.0)
    }

    /// What every order's key begins with.
    pub(super) fn orders(&self) -> Vec<u8> {
        self.key("ix:", b"")
    }

    /// All deadlines: room and id by deadline.
    pub(super) fn deadlines(&self) -> Vec<u8> {
        self.key("xp", b"")
    }

    /// Ids that ended lately.
    pub(super) fn dead(&self) -> Vec<u8> {
        self.key("dead", b"")
    }

    /// What changed: kinds and ids, never content.
    pub(super) fn log(&self) -> Vec<u8> {
        self.key("log", b"")
    }

    /// Rooms by id, and the space's own id.
    pub(super) fn rooms(&self) -> Vec<u8> {
        self.key("rooms", b"")
    }

    /// Who reaps.
    pub(super) fn janitor(&self) -> Vec<u8> {
        self.key("janitor", b"")
    }
}

/// A member of the deadlines: room, id, and a letter where something is seen once.
pub(super) fn member(bytes: &[u8]) -> Option<(RoomId, MessageId)> {
    match bytes.len() {
        32 => {}
        33 if matches!(bytes[32], b'o' | b'c') => {}
        _ => return None,
    }
    Some((RoomId(bytes[..16].try_into().ok()?), MessageId::from_bytes(bytes[16..32].try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::RoomName;

    #[test]
    fn a_space_has_one_hash_tag() {
        let id = MessageId::from_bytes([b'x'; 16]);
        assert_eq!(Keys::new(None).message(id), b"{tm}:m:xxxxxxxxxxxxxxxx");
        let keys = Keys::new(Some("ops"));
        assert_eq!(keys.dead(), b"{tm:ops}:dead");
        let name = RoomName::lobby();
        assert!(!keys.order(name.id()).windows(5).any(|part| part == b"lobby"));
    }

    #[test]
    fn foreign_members_are_no_members() {
        assert!(member(&[7; 32]).is_some() && member(&[b'o'; 33]).is_some());
        for bytes in [&[][..], &[0; 31], &[0; 33], &[0; 34]] {
            assert!(member(bytes).is_none());
        }
    }
}
