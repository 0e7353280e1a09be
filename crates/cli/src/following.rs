//! What `watch` knows of its room: makes of a subscription's stream, in which snapshots repeat what is known, one in which
//! every message comes once and every end is told.

use std::collections::{BTreeMap, HashMap};

use temp_messenger_core::{
    event::{Event, Why},
    lifetime::Millis,
    message::{Message, MessageId},
    room::RoomName,
};

/// A snapshot reaches back over so many messages, and a page more.
const FURTHEST: usize = 1_000;

/// The messages of one room that were told and have not ended.
#[derive(Debug)]
pub(crate) struct Following {
    room: RoomName,
    told: HashMap<MessageId, Told>,
    snapshot: Option<Snapshot>,
    /// How many older pages were asked for and have not come.
    asked: usize,
    /// How many of these belong to a snapshot that another one has replaced.
    stale: usize,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    seq: u64,
    deadline: Millis,
}

/// What is alive, newest page first, as far as it has come.
#[derive(Debug)]
struct Snapshot {
    messages: BTreeMap<u64, Message>,
    now: Millis,
}

/// What comes of an event.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// To be told: `saved`, `moved` and `ended` alone.
    pub(crate) news: Vec<Event>,
    /// The page before this `seq` is needed.
    pub(crate) ask: Option<u64>,
}

impl Following {
    /// Knows nothing yet.
    pub(crate) fn new(room: RoomName) -> Self {
        let snapshot = Some(Snapshot { messages: BTreeMap::new(), now: 0 });
        Self { room, told: HashMap::new(), snapshot, asked: 0, stale: 0 }
    }

    /// Whether what was told is all that there is to tell: no snapshot is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.snapshot.is_none()
    }

    /// The next event of the subscription.
    pub(crate) fn follow(&mut self, event: Event) -> Outcome {
        let mut outcome = Outcome::default();
        match event {
            Event::Saved { message } if message.room == self.room => match &mut self.snapshot {
                Some(snapshot) => {
                    snapshot.messages.insert(message.seq, message);
                }
                None => self.tell(message, &mut outcome.news),
            },
            Event::Moved { id, deadline } => {
                if let Some(message) = self.in_snapshot(id) {
                    message.deadline = deadline;
                }
                if let Some(told) = self.told.get_mut(&id) {
                    told.deadline = deadline;
                    outcome.news.push(Event::Moved { id, deadline });
                }
            }
            Event::Ended { id, why } => {
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.messages.retain(|_, message| message.id != id);
                }
                if self.told.remove(&id).is_some() {
                    outcome.news.push(Event::Ended { id, why });
                }
            }
            Event::Page { room, messages, replace, more, now, .. } if room == self.room => {
                self.page(messages, replace, more, now, &mut outcome);
            }
            Event::Saved { .. }
            | Event::Page { .. }
            | Event::Room { .. }
            | Event::Reset
            | Event::Forgot
            | Event::Waiting { .. }
            | Event::Accepted { .. }
            | Event::Unsent { .. }
            | Event::Link { .. } => {}
        }
        outcome
    }

    fn page(&mut self, messages: Vec<Message>, replace: bool, more: bool, now: Millis, outcome: &mut Outcome) {
        if replace {
            self.snapshot = Some(Snapshot { messages: BTreeMap::new(), now });
            self.stale = self.asked;
        } else {
            self.asked = self.asked.saturating_sub(1);
            if self.stale > 0 {
                self.stale -= 1;
                return;
            }
        }
        let Some(snapshot) = &mut self.snapshot else { return };
        let oldest = messages.first().map(|message| message.seq);
        snapshot.now = now;
        snapshot.messages.extend(messages.into_iter().map(|message| (message.seq, message)));
        match oldest {
            Some(oldest) if more && snapshot.messages.len() < FURTHEST => {
                self.asked += 1;
                outcome.ask = Some(oldest);
            }
            // An empty page with more behind it could not be read: nothing is known of what is older.
            _ => self.complete(!more, &mut outcome.news),
        }
    }

    /// The snapshot is all there: tells how it differs from what was told.
    fn complete(&mut self, whole: bool, news: &mut Vec<Event>) {
        let Some(Snapshot { messages, now }) = self.snapshot.take() else { return };
        let from = if whole { 0 } else { messages.keys().next().copied().unwrap_or(u64::MAX) };
        let gone = self.told.iter().filter(|(_, told)| told.seq >= from && !messages.contains_key(&told.seq));
        let mut gone: Vec<_> = gone.map(|(id, told)| (told.seq, *id, told.deadline)).collect();
        gone.sort_unstable();
        for (_, id, deadline) in gone {
            self.told.remove(&id);
            let why = if deadline <= now { Why::Expired } else { Why::Deleted };
            news.push(Event::Ended { id, why });
        }
        for message in messages.into_values() {
            self.tell(message, news);
        }
    }

    /// Tells a message, or of one that was told only what is new.
    fn tell(&mut self, message: Message, news: &mut Vec<Event>) {
        let (id, deadline) = (message.id, message.deadline);
        match self.told.insert(id, Told { seq: message.seq, deadline }) {
            None => news.push(Event::Saved { message }),
            Some(told) if told.deadline != deadline => news.push(Event::Moved { id, deadline }),
            Some(_) => {}
        }
    }

    fn in_snapshot(&mut self, id: MessageId) -> Option<&mut Message> {
        self.snapshot.as_mut()?.messages.values_mut().find(|message| message.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::message;

    fn numbered(n: u8) -> Message {
        Message { id: MessageId::from_bytes([n; 16]), seq: n.into(), deadline: 1_000, ..message("Ana", "x") }
    }

    fn page(numbers: impl IntoIterator<Item = u8>, replace: bool, more: bool) -> Event {
        let messages = numbers.into_iter().map(numbered).collect();
        Event::Page { room: RoomName::lobby(), messages, newer: 0, replace, more, now: 0 }
    }

    fn ended(n: u8, why: Why) -> Event {
        Event::Ended { id: numbered(n).id, why }
    }

    /// What is told, in short: `+1` saved, `~1` moved, `-1` ended.
    fn told(following: &mut Following, event: Event) -> String {
        let short = |event: &Event| match event {
            Event::Saved { message } => format!("+{}", message.seq),
            Event::Moved { id, .. } => format!("~{}", id.as_bytes()[0]),
            Event::Ended { id, .. } => format!("-{}", id.as_bytes()[0]),
            other => panic!("{other:?}"),
        };
        following.follow(event).news.iter().map(short).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_message_is_told_once_over_snapshots() {
        let mut room = Following::new(RoomName::lobby());
        assert_eq!(told(&mut room, page([1, 2], true, false)), "+1 +2");
        assert_eq!(told(&mut room, Event::Saved { message: numbered(2) }), "");
        assert_eq!(told(&mut room, Event::Saved { message: numbered(3) }), "+3");
        assert_eq!(told(&mut room, Event::Reset), "");
        assert_eq!(told(&mut room, page([2, 3, 4], true, false)), "-1 +4");
        assert_eq!(told(&mut room, ended(2, Why::Deleted)), "-2");
        assert_eq!(told(&mut room, ended(2, Why::Deleted)), "");
    }

    #[test]
    fn what_a_snapshot_no_longer_has_is_told_with_its_reason() {
        let mut room = Following::new(RoomName::lobby());
        told(&mut room, page([1, 2], true, false));
        told(&mut room, Event::Moved { id: numbered(2).id, deadline: 5_000 });
        let (room_name, messages) = (RoomName::lobby(), Vec::new());
        let empty = Event::Page { room: room_name, messages, newer: 0, replace: true, more: false, now: 1_000 };
        assert_eq!(room.follow(empty).news, [ended(1, Why::Expired), ended(2, Why::Deleted)]);
    }

    #[test]
    fn older_pages_are_asked_for_and_told_first() {
        let mut room = Following::new(RoomName::lobby());
        let outcome = room.follow(page([5, 6], true, true));
        assert_eq!((outcome.news.len(), outcome.ask), (0, Some(5)));
        assert!(!room.is_settled());
        assert_eq!(told(&mut room, Event::Saved { message: numbered(7) }), "");
        assert_eq!(told(&mut room, ended(6, Why::Deleted)), "");
        assert_eq!(told(&mut room, page([3, 4], false, false)), "+3 +4 +5 +7");
        assert!(room.is_settled());
    }

    #[test]
    fn a_page_of_a_replaced_snapshot_completes_nothing() {
        let mut room = Following::new(RoomName::lobby());
        told(&mut room, page([1, 2, 3], true, false));
        assert_eq!(room.follow(page([3], true, true)).ask, Some(3));
        assert_eq!(room.follow(page([4], true, true)).ask, Some(4));
        // This one answers the first question, and says nothing of 3.
        assert_eq!(told(&mut room, page([1, 2], false, false)), "");
        assert_eq!(told(&mut room, page([1, 2, 3], false, false)), "+4");
    }

    #[test]
    fn a_page_that_cannot_be_read_ends_nothing() {
        let mut room = Following::new(RoomName::lobby());
        told(&mut room, page([1, 2], true, false));
        room.follow(page([2, 3], true, true));
        assert_eq!(told(&mut room, page([], false, true)), "+3");
        assert_eq!(told(&mut room, ended(1, Why::Expired)), "-1");
    }

    #[test]
    fn other_rooms_are_not_told() {
        let mut room = Following::new("ops".parse().unwrap());
        assert_eq!(told(&mut room, Event::Saved { message: numbered(1) }), "");
        assert_eq!(told(&mut room, page([1], true, false)), "");
        assert_eq!(told(&mut room, ended(1, Why::Expired)), "");
    }
}
