//! What standard output is: a terminal of some size that shows colours, or a pipe; and the reader's time zone.

use std::io::{IsTerminal, stdout};

use jiff::{Timestamp, tz::TimeZone};
use temp_messenger_core::lifetime::{Millis, remaining_words};

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// How things are to look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The terminal's size as it is now; `None` in a pipe.
    pub(crate) size: fn() -> Option<Size>,
    /// Whether colours are wanted.
    pub(crate) colours: bool,
    /// Where the reader is.
    pub(crate) zone: TimeZone,
}

impl Look {
    /// Standard output's.
    pub(crate) fn of_this_process() -> Self {
        let colours = stdout().is_terminal() && !colours_refused() && !dumb();
        Self { size: size_of_stdout, colours, zone: TimeZone::system() }
    }

    /// What is left: a sign of the unit, and words; yellow under a minute. Seven columns.
    pub(crate) fn left(&self, millis: Millis) -> String {
        let words = remaining_words(millis);
        let sign = match words.chars().next_back() {
            Some('s') => '◔',
            Some('m') => '◑',
            Some('h') => '◕',
            _ => '●',
        };
        match sign {
            '◔' if self.colours => format!("\u{1b}[33m{sign} {words:>5}\u{1b}[39m"),
            _ => format!("{sign} {words:>5}"),
        }
    }

    /// The hour of day where the reader is.
    pub(crate) fn hour(&self, moment: Millis) -> String {
        let timestamp = i64::try_from(moment).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        let hour = |timestamp: Timestamp| self.zone.to_datetime(timestamp).strftime("%H:%M").to_string();
        timestamp.map_or_else(|| "--:--".to_owned(), hour)
    }
}

/// Whether the reader wants no colours anywhere (`NO_COLOR`).
pub(crate) fn colours_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// A terminal that obeys nothing is treated as a pipe.
fn dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

fn size_of_stdout() -> Option<Size> {
    if !stdout().is_terminal() || dumb() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout()).ok();
    let size = size.map(|size| Size { columns: size.ws_col.into(), rows: size.ws_row.into() });
    // A terminal that does not know its size is taken for the usual one.
    Some(size.filter(|size| size.columns > 0 && size.rows > 0).unwrap_or(Size { columns: 80, rows: 24 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_follows_the_words() {
        let look = Look { size: || None, colours: false, zone: TimeZone::UTC };
        for (millis, left) in [
            (3_001, "◔   4 s"),
            (59_500, "◑   1 m"),
            (22 * 60_000, "◑  22 m"),
            (7 * 3_600_000, "◕   7 h"),
            (6 * 86_400_000, "●   6 d"),
        ] {
            assert_eq!(look.left(millis), left);
        }
        let colours = Look { colours: true, ..look };
        assert_eq!(colours.left(4_000), "\u{1b}[33m◔   4 s\u{1b}[39m");
        assert_eq!(colours.left(60_000), "◑   1 m");
    }

    #[test]
    fn the_hour_is_the_readers() {
        let zone = TimeZone::posix("XYZ-2").unwrap();
        let look = Look { size: || None, colours: false, zone };
        assert_eq!(look.hour(1_700_000_000_000), "00:13");
        assert_eq!(look.hour(Millis::MAX), "--:--");
    }
}
