//! What a tortured store holds, so that what is read back can be checked against the id alone.

use temp_messenger_core::{lifetime::Lifetime, message::MessageId, room::RoomName, store::NewRecord};

/// A record whose payload follows from its id: short ones, and some that take several rows.
pub fn record(seconds: u64) -> NewRecord {
    let id = MessageId::random();
    NewRecord {
        id,
        room: RoomName::lobby().id(),
        lifetime: Lifetime::from_millis(seconds * 1_000).unwrap(),
        not_after: None,
        payload: payload(id),
        once: None,
    }
}

pub fn payload(id: MessageId) -> Vec<u8> {
    let length = match id.as_bytes()[0] {
        0..8 => 30_000,
        first => usize::from(first) * 4,
    };
    id.as_bytes().iter().copied().cycle().take(length).collect()
}
