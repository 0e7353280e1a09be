//! What people wrote, on its way in from standard input and on its way out to a terminal, which obeys control characters:
//! none of a message's may reach it.

use std::{
    ffi::OsString,
    fmt::Write,
    io::{ErrorKind, Read},
};

use temp_messenger_core::{
    error::{Code, Error, Result},
    markup::is_invisible,
    message::LONGEST_TEXT,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// More characters without a width in a row than this are no writing.
const MOST_MARKS: usize = 8;

/// The text of a message to be sent: the word that was given, or standard input less one newline at its end.
pub(crate) fn given(word: Option<OsString>, input: &mut dyn Read) -> Result<String> {
    let not_text = || Error::new(Code::Invalid, "a message is text in UTF-8");
    if let Some(word) = word {
        return word.into_string().map_err(|_| not_text());
    }
    // One byte for the newline, one to tell that there is more.
    let bound = LONGEST_TEXT + 2;
    let mut bytes = Vec::new();
    let read = input.take(bound as u64).read_to_end(&mut bytes);
    read.map_err(|error| match error.kind() {
        ErrorKind::IsADirectory => Error::new(Code::Invalid, "standard input is a folder"),
        _ => Error::new(Code::Internal, format!("standard input: {error}")),
    })?;
    if bytes.len() < bound && bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > LONGEST_TEXT {
        return Err(Error::new(Code::TooLarge, "a message is at most 32 KiB long"));
    }
    String::from_utf8(bytes).map_err(|_| not_text())
}

/// A text in which every character that a terminal would obey, or a reader could not see, is written by name. Newlines
/// and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let (mut before, mut marks) = (None, 0);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied();
        marks = if character.width() == Some(0) { marks + 1 } else { 0 };
        if is_invisible(character, (before, after)) {
            // Writing into a string cannot fail.
            let _ = write!(shown, "U+{:04X}", u32::from(character));
        } else if marks <= MOST_MARKS {
            shown.push(character);
        } else if marks == MOST_MARKS + 1 {
            shown.push(char::REPLACEMENT_CHARACTER);
        }
        before = Some(character);
    }
    shown
}

/// A visible text as lines, folded between words where a width is given; a word that is too long is cut.
pub(crate) fn folded(text: &str, width: Option<usize>) -> Vec<String> {
    let lines = text.lines().map(|line| line.replace('\t', "    "));
    match width {
        None => lines.collect(),
        Some(width) => lines.flat_map(|line| fold(&line, width)).collect(),
    }
}

fn fold(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut folded, mut taken) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        // The space that ends a line needs no column.
        if taken > 0 && taken + word.trim_end_matches(' ').width() > width {
            lines.push(std::mem::take(&mut folded));
            taken = 0;
        }
        for character in word.chars() {
            let columns = character.width().unwrap_or(0);
            if taken + columns > width && character != ' ' {
                lines.push(std::mem::take(&mut folded));
                taken = 0;
            }
            folded.push(character);
            taken += columns;
        }
    }
    lines.push(folded);
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A word in exactly so many columns: filled with spaces, or cut with an ellipsis.
pub(crate) fn fitted(word: &str, columns: usize) -> String {
    let mut fitted = word.to_owned();
    if fitted.width() > columns {
        while fitted.width() >= columns && fitted.pop().is_some() {}
        fitted.push('…');
    }
    let missing = columns.saturating_sub(fitted.width());
    fitted + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use temp_messenger_core::markup::{Piece, pieces};

    use super::*;

    fn code(input: &[u8]) -> Code {
        given(None, &mut &*input).unwrap_err().code
    }

    #[test]
    fn standard_input_loses_one_newline_and_nothing_else() {
        for (input, text) in [("a\n", "a"), ("a", "a"), (" a \n\n", " a \n"), ("a\r\n", "a\r"), ("\0\n", "\0")] {
            assert_eq!(given(None, &mut input.as_bytes()).unwrap(), text);
        }
        let longest = "x".repeat(LONGEST_TEXT);
        assert_eq!(given(None, &mut format!("{longest}\n").as_bytes()).unwrap(), longest);
    }

    #[test]
    fn too_much_is_refused_without_reading_on() {
        assert_eq!(code(&b"x".repeat(LONGEST_TEXT + 1)), Code::TooLarge);
        assert_eq!(code(&[&*b"x".repeat(LONGEST_TEXT), b"\n\n"].concat()), Code::TooLarge);
        let mut endless = std::io::repeat(b'x');
        assert_eq!(given(None, &mut endless).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(code(b"\xff\xfe"), Code::Invalid);
        let word = OsString::from_vec(vec![0xff]);
        assert_eq!(given(Some(word), &mut std::io::empty()).unwrap_err().code, Code::Invalid);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\r\u{8}\u{7f}\u{202e}x";
        assert_eq!(visible(hostile), "U+001B]0;ownedU+0007U+009B2JU+000DU+0008U+007FU+202Ex");
        let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        assert!(!visible(&all).chars().any(|character| character.is_control() && !"\n\t".contains(character)));
    }

    #[test]
    fn what_the_window_names_is_named_here_too() {
        for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = format!("a{character}b");
            let named = pieces(&text).is_some_and(|found| found.iter().any(|p| matches!(p, Piece::Control { .. })));
            assert_eq!(visible(&text) != text, named, "{character:?}");
        }
    }

    #[test]
    fn ordinary_writing_stays() {
        for text in ["two\nlines\tand", "日本 👩‍💻 e\u{301}", "a ` b **"] {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible(&format!("e{}", "\u{301}".repeat(99))).chars().count(), 10);
    }

    #[test]
    fn lines_fold_between_words() {
        assert_eq!(folded("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(folded("abcdefghij", Some(4)), ["abcd", "efgh", "ij"]);
        assert_eq!(folded("日本日本", Some(5)), ["日本", "日本"]);
        assert_eq!(folded("a\n\n  b", Some(9)), ["a", "", "  b"]);
        assert_eq!(folded("one two three", None), ["one two three"]);
    }

    #[test]
    fn words_fit_their_column() {
        assert_eq!((fitted("Ana", 6), fitted("Chidinma", 6)), ("Ana   ".to_owned(), "Chidi…".to_owned()));
        assert_eq!(fitted("日本語", 4), "日… ");
    }
}
