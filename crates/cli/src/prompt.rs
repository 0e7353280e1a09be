//! Asking for a password where somebody sits at the terminal and the server wants one: what is typed is not shown, and
//! not kept.

use std::io::{self, BufRead, IsTerminal, Write, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use temp_messenger_core::{
    error::{Code, Error, Result},
    session::Session,
    store::{Address, Password, is_about_password},
};

/// Opens a server's store; asks once for a password where that is what is lacking.
pub(crate) async fn ask_where_needed(session: &Session) -> Result<()> {
    let address = session.address();
    if !matches!(address, Address::Redis(_)) || !stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    match session.api().await {
        Err(error) if is_about_password(&error) => {
            let asked = ask(&format!("Password for {address}: "));
            let typed =
                asked.map_err(|error| Error::new(Code::Internal, format!("the terminal cannot be read: {error}")))?;
            session.set_password(Password::new(typed).ok_or(error)?);
            Ok(())
        }
        // It fails again, with more to say, where it is needed.
        _ => Ok(()),
    }
}

fn ask(question: &str) -> io::Result<String> {
    let _silence = Silence::begin();
    write!(io::stderr(), "{question}")?;
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    writeln!(io::stderr())?;
    Ok(line.trim_end_matches('\n').to_owned())
}

/// What is typed is not written onto the screen; as before when dropped.
pub(crate) struct Silence(Termios);

impl Silence {
    pub(crate) fn begin() -> Option<Self> {
        let before = stdin().is_terminal().then(|| tcgetattr(stdin()).ok()).flatten()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
    }
}
