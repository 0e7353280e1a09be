//! Messages as a table: one a row, its text folded beside the columns or below them, long texts cut.

use temp_messenger_core::{lifetime::Millis, message::Message};
use unicode_width::UnicodeWidthStr;

use crate::{
    look::Look,
    text::{fitted, folded, visible},
};

/// A text of more lines than this is cut.
const MOST_LINES: usize = 4;
/// Authors' names take no more columns than this.
const WIDEST_AUTHOR: usize = 16;
/// Beside the columns a text has at least this much room, else it stands below them.
const NARROWEST_TEXT: usize = 24;
/// Where a text stands that is below its columns.
const BELOW: usize = 4;

/// How a table's columns stand.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    look: &'a Look,
    /// Whether rows begin with the id.
    ids: bool,
    author: usize,
    /// How a further command begins: `tempmsg`.
    again: &'a str,
}

impl<'a> Table<'a> {
    /// Columns for these messages.
    pub(crate) fn of<'m>(
        messages: impl IntoIterator<Item = &'m Message>,
        look: &'a Look,
        ids: bool,
        again: &'a str,
    ) -> Self {
        let widest = messages.into_iter().map(|message| author(message).width()).max().unwrap_or_default();
        Self { look, ids, author: widest.clamp(6, WIDEST_AUTHOR), again }
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> String {
        let id = if self.ids { "id        " } else { "" };
        format!("  {id}left      sent   {}  message", fitted("from", self.author))
    }

    /// A message's lines, `left` milliseconds before its end.
    pub(crate) fn row(&self, message: &Message, left: Millis) -> Vec<String> {
        let id = message.id.to_string();
        let short = &id[..8];
        let cell = if self.ids { format!("{short}  ") } else { String::new() };
        let (left, sent) = (self.look.left(left), self.look.hour(message.accepted));
        let mut columns = format!("  {cell}{left}   {sent}  {}  ", fitted(&author(message), self.author));
        let indent = if self.ids { 31 } else { 21 } + self.author;
        let room = (self.look.size)().map(|size| size.columns);
        let below = room.is_some_and(|room| room < indent + NARROWEST_TEXT);
        let indent = if below { BELOW } else { indent };
        // One column less, for the ellipsis.
        let width = room.map(|room| room.saturating_sub(indent + 1).max(1));
        let mut lines = self.text(message, width, short).into_iter();
        let mut rows = Vec::new();
        if !below {
            columns.push_str(&lines.next().unwrap_or_default());
        }
        rows.push(columns.trim_end().to_owned());
        rows.extend(lines.map(|line| format!("{}{line}", " ".repeat(indent)).trim_end().to_owned()));
        rows
    }

    fn text(&self, message: &Message, width: Option<usize>, short: &str) -> Vec<String> {
        if message.once {
            return vec!["to be seen once".to_owned()];
        }
        let mut lines = folded(&visible(&message.message), width);
        if lines.len() > MOST_LINES {
            let more = lines.len() - (MOST_LINES - 1);
            lines.truncate(MOST_LINES - 1);
            if let Some(last) = lines.last_mut() {
                last.push('…');
            }
            lines.push(format!("({more} more lines: {} get {short})", self.again));
        }
        lines
    }
}

fn author(message: &Message) -> String {
    if message.mine { "you".to_owned() } else { visible(&message.author) }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;
    use temp_messenger_core::{message::MessageId, room::RoomName};

    use super::*;
    use crate::look::Size;

    pub(crate) fn message(author: &str, text: &str) -> Message {
        Message {
            id: "c8d0447b55aa4be2b9d04e77c1f20a93".parse::<MessageId>().unwrap(),
            room: RoomName::lobby(),
            author: author.to_owned(),
            mine: false,
            message: text.to_owned(),
            pieces: None,
            once: false,
            seq: 1,
            accepted: 1_700_000_000_000,
            deadline: 1_700_000_600_000,
            expires_in: 600_000,
        }
    }

    pub(crate) fn terminal() -> Look {
        Look { size: || Some(Size { columns: 80, rows: 24 }), colours: false, zone: TimeZone::UTC }
    }

    fn rows(look: &Look, message: &Message) -> Vec<String> {
        Table::of([message], look, true, "tempmsg").row(message, message.expires_in)
    }

    #[test]
    fn rows_stand_under_their_names() {
        let look = terminal();
        let text = "The certificate on the mail gateway runs out on Friday. I would swap it tonight after ten.";
        let ana = message("Ana", text);
        assert_eq!(Table::of([&ana], &look, true, "").header(), "  id        left      sent   from    message");
        assert_eq!(
            rows(&look, &ana),
            [
                "  c8d0447b  ◑  10 m   22:13  Ana     The certificate on the mail gateway runs",
                "                                     out on Friday. I would swap it tonight",
                "                                     after ten.",
            ]
        );
    }

    #[test]
    fn a_long_text_is_cut_and_says_how_to_read_it() {
        let lines = rows(&terminal(), &message("Ana", &"line\n".repeat(14)));
        assert_eq!(lines.len(), 4);
        assert!(lines[2].ends_with("line…"));
        assert_eq!(lines[3].trim(), "(11 more lines: tempmsg get c8d0447b)");
    }

    #[test]
    fn a_pipe_has_no_width_and_a_narrow_terminal_puts_the_text_below() {
        let pipe = Look { size: || None, ..terminal() };
        assert_eq!(rows(&pipe, &message("Ana", &"word ".repeat(100))).len(), 1);
        let narrow = Look { size: || Some(Size { columns: 40, rows: 24 }), ..terminal() };
        let lines = rows(&narrow, &message("Ana", "on my way, two minutes, and I bring the key"));
        assert_eq!(lines[0], "  c8d0447b  ◑  10 m   22:13  Ana");
        assert!(lines.len() == 3 && lines.iter().all(|line| line.width() <= 40), "{lines:?}");
    }

    #[test]
    fn nothing_hostile_is_in_a_row() {
        let hostile = message("\u{202e}eve", "\u{1b}[2J\u{1b}]0;owned\u{7}\n  c8d0447b  fake row");
        let lines = rows(&terminal(), &hostile);
        assert!(lines.iter().all(|line| !line.chars().any(char::is_control) && !line.contains('\u{202e}')));
        assert!(lines[1].starts_with(&" ".repeat(30)));
    }
}
