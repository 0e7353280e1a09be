//! How a command fails: the line on standard error, and the exit status.

use std::io::{self, ErrorKind, Write};

use temp_messenger_core::error::{Code, Error};

use crate::text::visible;

/// Why a command did not get done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The messenger says no.
    Core(Error),
    /// Standard output cannot be written to.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// Says it in one line and answers with the exit status. A reader who has seen enough (`| head`) is no failure.
    pub(crate) fn report(self, json: bool, errors: &mut dyn Write) -> u8 {
        let error = match self {
            Self::Core(error) => error,
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => return 0,
            Self::Output(error) => {
                let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                let code = if full { Code::Full } else { Code::Internal };
                Error::new(code, format!("standard output: {error}"))
            }
        };
        // Where standard error is gone too, the status is all that can be said.
        let _ = match serde_json::to_string(&error) {
            Ok(object) if json => writeln!(errors, "{object}"),
            _ => writeln!(errors, "tempmsg: {}", visible(&error.message).replace('\n', " ")),
        };
        error.code.exit_status()
    }
}

/// What was asked cannot be understood, or it was the help that was asked for. Answers with the exit status.
pub(crate) fn usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    // clap writes paragraphs: what is wrong comes first, and the nearest valid word, where there is one, as a tip.
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let wrong = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let tip = lines.find_map(|line| line.strip_prefix("tip: ")).map(|tip| format!("; {tip}")).unwrap_or_default();
    Failure::Core(Error::new(Code::Invalid, wrong + &tip)).report(json, &mut io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(failure: Failure, json: bool) -> (u8, String) {
        let mut errors = Vec::new();
        let status = failure.report(json, &mut errors);
        (status, String::from_utf8(errors).unwrap())
    }

    #[test]
    fn one_line_or_one_object() {
        let error = Error::new(Code::InUse, "another process\nhas \u{1b}[31mit");
        let (status, line) = reported(error.clone().into(), false);
        assert_eq!((status, line.as_str()), (6, "tempmsg: another process has U+001B[31mit\n"));
        let (status, object) = reported(error.into(), true);
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!((status, &object["code"]), (6, &serde_json::json!("in_use")));
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_no_failure() {
        assert_eq!(reported(io::Error::from(ErrorKind::BrokenPipe).into(), false), (0, String::new()));
        assert_eq!(reported(io::Error::from(ErrorKind::StorageFull).into(), false).0, 1);
    }
}
