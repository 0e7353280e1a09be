//! The real `tempmsg` in a home of its own.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use crate::{binary, home::Home};

/// With these words, and nothing on standard input.
pub fn tempmsg(home: &Home, words: &[&str]) -> Command {
    let mut command = Command::new(binary("tempmsg"));
    home.furnish(&mut command);
    command.args(words).env_remove("TEMP_MESSENGER_LOG").env_remove("TEMP_MESSENGER_PASSWORD").stdin(Stdio::null());
    command
}

/// The same with something on standard input.
pub fn fed(home: &Home, words: &[&str], input: &[u8]) -> Output {
    let mut child =
        tempmsg(home, words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever has read enough does not read the rest.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
