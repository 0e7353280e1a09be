//! What a face paints of a text: plain, code and link pieces, as a list and never as HTML. People send passwords, so
//! `*` and `_` stay; only `inline code`, fenced code and links are marked up, and what would be invisible or would fake
//! the look (controls, bidirectional overrides, towers of combining marks) is shown.

use serde::{Deserialize, Serialize};
use url::Url;

/// More pieces than this would freeze a window; the rest stays plain.
const MOST_PIECES: usize = 2_000;
/// A longer link is text; in bytes.
const LONGEST_LINK: usize = 2_048;
/// More combining marks in a row than this are no writing.
const MOST_MARKS: usize = 8;

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Piece {
    /// As typed.
    Plain {
        /// It.
        text: String,
    },
    /// Inline code, without its back-ticks.
    Code {
        /// It.
        text: String,
    },
    /// Fenced code, without its fences.
    Block {
        /// It.
        text: String,
    },
    /// A link: `http`, `https` or `mailto`.
    Link {
        /// As typed.
        text: String,
        /// What is opened.
        url: String,
        /// The real host, punycode for other scripts; for `mailto` the address.
        host: String,
    },
    /// A character that cannot be seen, by name.
    Control {
        /// `U+202E`.
        text: String,
    },
}

/// The pieces of a text; `None` where all of it is one plain piece.
pub fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Pieces(Vec::new());
    pieces.blocks(text);
    match pieces.0.as_slice() {
        [] => None,
        [Piece::Plain { text: only }] if only == text => None,
        _ => Some(pieces.0),
    }
}

/// Whether a link may be opened, and how it is written then: `http`, `https` with a host, or `mailto`.
pub fn link(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    match url.scheme() {
        "http" | "https" => url.has_host().then_some(url),
        "mailto" => url.path().contains('@').then_some(url),
        _ => None,
    }
}

struct Pieces(Vec<Piece>);

impl Pieces {
    /// Fenced code: from a line that opens with three back-ticks to one that is nothing else.
    fn blocks(&mut self, mut text: &str) {
        while let Some((before, code, after)) = fenced(text)
            && self.0.len() < MOST_PIECES
        {
            self.inline(before);
            self.0.push(Piece::Block { text: visible(code) });
            text = after;
        }
        self.inline(text);
    }

    /// Inline code and links.
    fn inline(&mut self, mut text: &str) {
        while let Some((at, piece, length)) = next_inline(text)
            && self.0.len() < MOST_PIECES
        {
            self.plain(&text[..at]);
            self.0.push(piece);
            text = &text[at + length..];
        }
        self.plain(text);
    }

    /// Plain text, its invisible characters shown.
    fn plain(&mut self, text: &str) {
        let mut marks = 0;
        for (at, character) in text.char_indices() {
            marks = if is_mark(character) { marks + 1 } else { 0 };
            let neighbours = (text[..at].chars().next_back(), text[at + character.len_utf8()..].chars().next());
            if !is_invisible(character, neighbours) && marks <= MOST_MARKS {
                self.push_plain(character);
            } else if self.0.len() < MOST_PIECES && marks <= MOST_MARKS + 1 {
                self.0.push(Piece::Control { text: name(character) });
            } else if marks == 0 {
                self.push_plain(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    fn push_plain(&mut self, character: char) {
        if let Some(Piece::Plain { text }) = self.0.last_mut() {
            text.push(character);
        } else {
            self.0.push(Piece::Plain { text: character.to_string() });
        }
    }
}

/// The first fenced block: what is before it, its code, what is after it.
fn fenced(text: &str) -> Option<(&str, &str, &str)> {
    let mut at = 0;
    let mut opened: Option<(usize, usize)> = None;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        match opened {
            None if line.starts_with("```") && !line[3..].contains('`') && line.ends_with('\n') => {
                opened = Some((at, end))
            }
            Some((start, code)) if line.trim_end() == "```" => {
                let inner = &text[code..at];
                let before = text[..start].strip_suffix('\n').unwrap_or(&text[..start]);
                return Some((before, inner.strip_suffix('\n').unwrap_or(inner), &text[end..]));
            }
            _ => {}
        }
        at = end;
    }
    None
}

/// The first inline code or link: where, what, how many bytes of the text it takes.
fn next_inline(text: &str) -> Option<(usize, Piece, usize)> {
    let mut search = 0;
    while let Some(found) = text[search..].find(['`', 'h', 'H', 'm', 'M']) {
        let at = search + found;
        let rest = &text[at..];
        let whole_word = !text[..at].ends_with(|before: char| before.is_alphanumeric());
        let piece = match rest.starts_with('`') {
            true => inline_code(rest),
            false if whole_word => linked(rest),
            false => None,
        };
        if let Some((piece, length)) = piece {
            return Some((at, piece, length));
        }
        // A run of back-ticks is passed over whole, so that each is looked at once.
        search = at + rest.bytes().take_while(|byte| *byte == b'`').count().max(1);
    }
    None
}

fn inline_code(text: &str) -> Option<(Piece, usize)> {
    let line = text[1..].split('\n').next()?;
    let end = line.find('`').filter(|end| *end > 0)?;
    Some((Piece::Code { text: visible(&line[..end]) }, end + 2))
}

fn linked(text: &str) -> Option<(Piece, usize)> {
    /// What closes a sentence is none of the link before it.
    const CLOSING: [char; 7] = ['.', ',', ';', ':', '!', '?', '\''];
    const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];
    let starts = |scheme: &&&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().find(starts)?;
    let ends = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`') || is_invisible(c, (None, None))
    };
    let typed = &text[..text.find(ends).unwrap_or(text.len())];
    if typed.len() > LONGEST_LINK {
        return None;
    }
    let mut typed = typed.trim_end_matches(CLOSING);
    // A bracket that closes the sentence around the link is none of it.
    let mut open = typed.matches(')').count().saturating_sub(typed.matches('(').count());
    while open > 0 && typed.ends_with(')') {
        typed = typed[..typed.len() - 1].trim_end_matches(CLOSING);
        open -= 1;
    }
    let url = link(typed)?;
    let host = url.host_str().map_or_else(|| url.path().to_owned(), str::to_owned);
    Some((Piece::Link { text: typed.to_owned(), url: url.to_string(), host }, typed.len()))
}

/// Code, in which an invisible character is written by name.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character, (None, None)) {
            shown.push_str(&name(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

fn name(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

/// Controls, bidirectional controls, and what has no width. Joiners are writing between letters of other scripts (and in
/// emoji), and a disguise elsewhere.
pub fn is_invisible(character: char, neighbours: (Option<char>, Option<char>)) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{200c}' | '\u{200d}' => !matches!(neighbours, (Some(a), Some(b)) if !a.is_ascii() && !b.is_ascii()),
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => true,
        _ => character.is_control(),
    }
}

fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}' | '\u{e47}'..='\u{e4e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Piece {
        Piece::Plain { text: text.to_owned() }
    }

    fn control(text: &str) -> Piece {
        Piece::Control { text: text.to_owned() }
    }

    #[test]
    fn ordinary_text_and_passwords_are_one_plain_piece() {
        for text in
            ["", "hello", "p*ss_w*rd_**", "<b>hi</b>", "two\nlines\tand", "a ` b", "h", "http://", "日本 👩‍💻 e\u{301}"]
        {
            assert_eq!(pieces(text), None, "{text}");
        }
    }

    #[test]
    fn code_is_marked() {
        let found = pieces("run `ls -l` now").unwrap();
        assert_eq!(found, [plain("run "), Piece::Code { text: "ls -l".into() }, plain(" now")]);
        let found = pieces("see\n```sh\na\n  b\n```\nend").unwrap();
        assert_eq!(found, [plain("see"), Piece::Block { text: "a\n  b".into() }, plain("end")]);
    }

    #[test]
    fn links_show_their_real_host() {
        let host =
            |text: &str| match pieces(text).unwrap().into_iter().find(|piece| matches!(piece, Piece::Link { .. })) {
                Some(Piece::Link { text, host, .. }) => (text, host),
                _ => unreachable!("{text}"),
            };
        assert_eq!(host("see https://example.org/a(b)."), ("https://example.org/a(b)".into(), "example.org".into()));
        assert_eq!(host("(https://example.org)"), ("https://example.org".into(), "example.org".into()));
        assert_eq!(host("https://bank.example@evil.example/x").1, "evil.example");
        assert_eq!(host("https://аpple.com").1, "xn--pple-43d.com");
        assert_eq!(host("mailto:ana@example.org").1, "ana@example.org");
    }

    #[test]
    fn other_schemes_are_text() {
        for text in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "xhttp://a.b"] {
            assert_eq!(pieces(text), None, "{text}");
            assert_eq!(link(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(pieces("a\u{202e}b").unwrap(), [plain("a"), control("U+202E"), plain("b")]);
        assert_eq!(pieces("a\0b").unwrap(), [plain("a"), control("U+0000"), plain("b")]);
        assert_eq!(pieces("a\u{200d}b").unwrap()[1], control("U+200D"));
    }

    #[test]
    fn towers_of_marks_are_cut() {
        let found = pieces(&format!("e{}", "\u{301}".repeat(500))).unwrap();
        assert_eq!(found, [plain(&format!("e{}", "\u{301}".repeat(8))), control("U+0301")]);
    }

    #[test]
    fn hostile_texts_are_bounded() {
        for unit in [
            "[",
            "`",
            "`a",
            "`a`",
            "http://a.b ",
            "\u{202e}",
            "h",
            "```\n",
            "))",
            "http://a.b)",
            "ahttp://a.b",
            "http://[",
        ] {
            let text = unit.repeat(64 * 1024 / unit.len());
            let count = pieces(&text).map_or(1, |found| found.len());
            assert!(count <= MOST_PIECES + 2, "{unit:?}: {count}");
        }
        // Brackets without end are counted once, not once each.
        let text = format!("http://a.b{}", ")".repeat(32 * 1024));
        let watch = crate::clock::Stopwatch::start();
        assert_eq!(pieces(&text), None);
        assert!(watch.millis() < 1_000.0);
    }
}
