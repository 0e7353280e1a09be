//! The second screen of a terminal, on which `watch` paints: a head, the newest lines that fit, a foot. A line leaves when
//! its time is over. The first screen comes back with the end of it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use temp_messenger_core::{
    event::{Event, Link},
    lifetime::Millis,
    message::Message,
    room::RoomName,
    store::Address,
};

use crate::{
    look::{Look, Size},
    prompt::Silence,
    table::Table,
    text::visible,
};

/// The second screen, no cursor, no folding of what is too long.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// No terminal shows more messages than this at once.
const MOST: usize = 500;

/// A painted room. Dropping it gives the terminal back.
pub(crate) struct Screen<'a> {
    output: &'a mut dyn Write,
    look: &'a Look,
    again: &'a str,
    /// Room and store, as the head says them.
    place: String,
    link: String,
    /// By order of acceptance, the newest ones.
    messages: BTreeMap<u64, Message>,
    /// Whether some were left out at the old end.
    older: bool,
    painted: String,
    _echo: Option<Silence>,
}

impl<'a> Screen<'a> {
    /// Takes the terminal.
    pub(crate) fn enter(
        output: &'a mut dyn Write,
        look: &'a Look,
        again: &'a str,
        room: &RoomName,
        address: &Address,
    ) -> io::Result<Self> {
        let place = match address {
            Address::Memory => "in memory".to_owned(),
            Address::Sled { .. } => "on this computer".to_owned(),
            Address::Redis(redis) => format!("on {}", redis.label()),
        };
        let place = format!("  {}, {place}", visible(room.as_str()));
        output.write_all(ENTER.as_bytes())?;
        output.flush()?;
        let (link, messages, painted) = (String::new(), BTreeMap::new(), String::new());
        Ok(Self { output, look, again, place, link, messages, older: false, painted, _echo: Silence::begin() })
    }

    /// The link to the store, for the head.
    pub(crate) fn link(&mut self, link: &Link) {
        self.link = match link {
            Link::Connected { round_trip } => format!("connected {round_trip:.1} ms"),
            Link::Reconnecting { attempt } => format!("reconnecting, try {attempt}"),
            Link::Offline { .. } => "offline".to_owned(),
            Link::Refused { .. } => "refused".to_owned(),
        };
    }

    /// Something has changed.
    pub(crate) fn apply(&mut self, news: Event) {
        match news {
            Event::Saved { message } => {
                self.messages.insert(message.seq, message);
                if self.messages.len() > MOST {
                    self.messages.pop_first();
                    self.older = true;
                }
            }
            Event::Moved { id, deadline } => {
                if let Some(message) = self.messages.values_mut().find(|message| message.id == id) {
                    message.deadline = deadline;
                }
            }
            Event::Ended { id, .. } => self.messages.retain(|_, message| message.id != id),
            // What is told here is saved, moved or ended.
            _ => {}
        }
    }

    /// When something reads differently: at the latest in a second, so that a new size of the terminal is seen too.
    pub(crate) fn next_change(&self, now: Millis) -> Millis {
        let lefts = self.messages.values().map(|message| message.deadline.saturating_sub(now));
        let next = lefts.filter(|left| *left > 0).map(|left| (left - 1) % 1_000 + 1).min();
        now.saturating_add(next.unwrap_or(1_000))
    }

    /// Paints what is alive, if it looks other than before.
    pub(crate) fn paint(&mut self, now: Millis) -> io::Result<()> {
        let Some(size) = (self.look.size)() else { return Ok(()) };
        let lines = self.lines(now, size);
        // Home, every line to its end, nothing below the last.
        let painted = format!("\u{1b}[H{}\u{1b}[K\u{1b}[J", lines.join("\u{1b}[K\r\n"));
        if painted != self.painted {
            self.output.write_all(painted.as_bytes())?;
            self.output.flush()?;
            self.painted = painted;
        }
        Ok(())
    }

    fn lines(&self, now: Millis, size: Size) -> Vec<String> {
        let alive: Vec<_> = self.messages.values().filter(|message| message.deadline > now).collect();
        let table = Table::of(alive.iter().copied(), self.look, false, self.again);
        // Head and foot, and the line that says that there is more.
        let room = size.rows.saturating_sub(3);
        let (mut rows, mut taken, mut shown) = (Vec::new(), 0, 0);
        for message in alive.iter().rev() {
            let row = table.row(message, message.deadline - now);
            taken += row.len();
            if taken > room && shown > 0 {
                break;
            }
            shown += 1;
            rows.push(row);
        }
        let mut lines = vec![format!("{}    {}", self.place, self.link).trim_end().to_owned()];
        let hidden = alive.len() - shown;
        if hidden > 0 {
            let count = if self.older { "many".to_owned() } else { hidden.to_string() };
            lines.push(format!("  {count} older: {} list --limit {}", self.again, alive.len()));
        }
        if alive.is_empty() {
            lines.push("  Nothing is alive here.".to_owned());
        }
        lines.extend(rows.into_iter().rev().flatten());
        lines.truncate(size.rows.saturating_sub(1));
        lines.push("  Ctrl+C ends. Lines leave this screen when their time is over.".to_owned());
        lines.truncate(size.rows);
        lines
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Where it cannot be written to, there is no terminal to give back.
        let _ = self.output.write_all(LEAVE.as_bytes()).and_then(|()| self.output.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::{message, terminal};

    fn numbered(seq: u64, deadline: Millis) -> Message {
        Message { seq, deadline, ..message("Ben", &format!("number {seq}")) }
    }

    #[test]
    fn a_line_leaves_when_its_time_is_over() {
        let (look, room, mut output) = (terminal(), RoomName::lobby(), Vec::new());
        let mut screen = Screen::enter(&mut output, &look, "tempmsg", &room, &Address::Memory).unwrap();
        screen.link(&Link::Connected { round_trip: 0.41 });
        screen.apply(Event::Saved { message: numbered(1, 5_000) });
        screen.apply(Event::Saved { message: numbered(2, 70_000) });
        let size = Size { columns: 80, rows: 24 };
        let foot = "  Ctrl+C ends. Lines leave this screen when their time is over.";
        assert_eq!(
            screen.lines(1_500, size),
            [
                "  lobby, in memory    connected 0.4 ms",
                "  ◔   4 s   22:13  Ben     number 1",
                "  ◑   1 m   22:13  Ben     number 2",
                foot
            ]
        );
        assert_eq!(screen.next_change(1_500), 2_000);
        assert_eq!(screen.next_change(2_000), 3_000);
        assert_eq!(screen.lines(5_000, size).len(), 3);
        screen.apply(Event::Ended { id: numbered(2, 0).id, why: temp_messenger_core::event::Why::Deleted });
        assert_eq!(screen.lines(5_000, size)[1], "  Nothing is alive here.");
    }

    #[test]
    fn the_newest_that_fit_are_shown() {
        let (look, room, mut output) = (terminal(), RoomName::lobby(), Vec::new());
        let mut screen = Screen::enter(&mut output, &look, "tempmsg", &room, &Address::Memory).unwrap();
        for seq in 0..30 {
            screen.apply(Event::Saved { message: numbered(seq, 70_000) });
        }
        let lines = screen.lines(0, Size { columns: 80, rows: 10 });
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[1], "  23 older: tempmsg list --limit 30");
        assert!(lines[8].ends_with("number 29"));
        for rows in 1..5 {
            assert!(screen.lines(0, Size { columns: 20, rows }).len() <= rows);
        }
    }
}
