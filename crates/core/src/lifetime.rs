//! How long a message lives: the range, how people write it, and how what is left is put into words.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// Milliseconds: a span, or a moment since 1970 on the store's own clock.
pub type Millis = u64;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// A message's lifetime in milliseconds, from its acceptance by the store: 1 s to 30 d.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Millis", into = "Millis")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "number"))]
pub struct Lifetime(Millis);

impl Lifetime {
    /// The shortest: 1 s.
    pub const SHORTEST: Self = Self(SECOND);
    /// The longest: 30 d.
    pub const LONGEST: Self = Self(30 * DAY);
    /// What a new room gives its messages: 1 h.
    pub const DEFAULT: Self = Self(HOUR);

    /// A lifetime of this many milliseconds, or `out_of_range`.
    pub fn from_millis(millis: Millis) -> Result<Self> {
        if (Self::SHORTEST.0..=Self::LONGEST.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(Error::new(Code::OutOfRange, "a lifetime is between 1 s and 30 d"))
        }
    }

    /// The span in milliseconds.
    pub fn millis(self) -> Millis {
        self.0
    }
}

impl TryFrom<Millis> for Lifetime {
    type Error = Error;

    fn try_from(millis: Millis) -> Result<Self> {
        Self::from_millis(millis)
    }
}

impl From<Lifetime> for Millis {
    fn from(lifetime: Lifetime) -> Self {
        lifetime.0
    }
}

/// `10s`, `90 s`, `10m`, `10 min`, `8h`, `1d`, `1w`: one number and one unit.
impl FromStr for Lifetime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim() {
            "s" | "sec" => SECOND,
            "m" | "min" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => 0,
        };
        match number.parse::<Millis>() {
            Ok(number) if unit > 0 => Self::from_millis(number.saturating_mul(unit)),
            _ => Err(Error::new(Code::Invalid, "a lifetime is a number and a unit: 30s, 10m, 8h, 1d or 1w")),
        }
    }
}

/// The largest unit that it fills evenly: `90 s`, `10 min`, `1 h`, `30 d`.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")]
            .into_iter()
            .find(|(unit, _)| self.0.is_multiple_of(*unit))
            .unwrap_or((1, "ms"));
        write!(f, "{} {name}", self.0 / unit)
    }
}

/// What is left, in words: `6 d`, `7 h`, `14 m` rounded down, `52 s` rounded up, so that "0 s" is never read.
pub fn remaining_words(millis: Millis) -> String {
    match millis {
        DAY.. => format!("{} d", millis / DAY),
        HOUR.. => format!("{} h", millis / HOUR),
        MINUTE.. => format!("{} m", millis / MINUTE),
        _ => match millis.div_ceil(SECOND) {
            60 => "1 m".to_owned(),
            seconds => format!("{} s", seconds.max(1)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_one_second_to_thirty_days() {
        assert_eq!(Lifetime::from_millis(999).unwrap_err().code, Code::OutOfRange);
        assert_eq!(Lifetime::from_millis(1_000).unwrap(), Lifetime::SHORTEST);
        assert_eq!(Lifetime::from_millis(30 * DAY).unwrap(), Lifetime::LONGEST);
        assert_eq!(Lifetime::from_millis(30 * DAY + 1).unwrap_err().code, Code::OutOfRange);
        assert!(serde_json::from_str::<Lifetime>("5").is_err());
    }

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in
            [("10s", 10_000), ("1 min", MINUTE), ("10m", 10 * MINUTE), ("8h", 8 * HOUR), ("1w", 7 * DAY)]
        {
            assert_eq!(text.parse::<Lifetime>().unwrap().millis(), millis, "{text}");
        }
        for text in ["", "10", "s", "-1s", "1.5h", "10x", "1h30m"] {
            assert_eq!(text.parse::<Lifetime>().unwrap_err().code, Code::Invalid, "{text}");
        }
        for text in ["0s", "31d", "99999999999999999999w", "18446744073709551615w"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_the_largest_even_unit() {
        for (text, written) in [("90s", "90 s"), ("60s", "1 min"), ("24h", "1 d"), ("1w", "7 d")] {
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn words_round_down_and_seconds_up() {
        for (millis, words) in [
            (0, "1 s"),
            (1, "1 s"),
            (51_001, "52 s"),
            (59_001, "1 m"),
            (60_000, "1 m"),
            (HOUR - 1, "59 m"),
            (DAY - 1, "23 h"),
            (2 * DAY - 1, "1 d"),
        ] {
            assert_eq!(remaining_words(millis), words, "{millis}");
        }
    }
}
