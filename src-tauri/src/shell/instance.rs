//! One window a data folder. The first start holds `window.lock`, in which stands the path of a socket that knows only
//! `show_window`; a second start sends that and ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, Write},
    os::unix::{
        fs::OpenOptionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tauri::AppHandle;
use temp_messenger_core::{
    clock::{Clock, SystemClock},
    error::{Code, Error, Result},
    folders,
    lifetime::Millis,
};
use uuid::Uuid;

use super::window;

const SHOW_WINDOW: &str = "show_window";
const SHOWN: &str = "shown";
/// How long a second start waits for a first that is itself just starting, in ms.
const PATIENCE: Millis = 5_000;

/// What a start has come to.
pub(crate) enum Claim {
    /// This is the first: the window is its own to open.
    First(Instance),
    /// Another has been brought to the front.
    Shown,
}

/// The first start's lock and socket. The system frees the lock with the process; the next start removes the socket.
pub(crate) struct Instance {
    lock: File,
    listener: UnixListener,
}

/// Takes the folder's window, or shows the one that is there.
pub(crate) fn claim(folder: &Path) -> Result<Claim> {
    let path = folder.join("window.lock");
    let trouble = |error: io::Error| folders::trouble(&path, &error);
    let mut options = OpenOptions::new();
    let mut lock =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(trouble)?;
    let patient_until = SystemClock.boot() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(trouble(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if ask_to_show(&mut lock).is_ok() {
            return Ok(Claim::Shown);
        }
        if SystemClock.boot() >= patient_until {
            return Err(Error::new(Code::InUse, "another window is open on the same folder and does not answer"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let sockets = folders::runtime()?;
    if let Some(left) = socket_named_in(&mut lock).ok().filter(|left| left.parent() == Some(&sockets)) {
        let _ = std::fs::remove_file(left);
    }
    let socket = sockets.join(format!("window-{}.sock", Uuid::new_v4().simple()));
    let listener = UnixListener::bind(&socket).map_err(|error| folders::trouble(&socket, &error))?;
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(trouble)?;
    writeln!(lock, "{}", socket.display()).map_err(trouble)?;
    Ok(Claim::First(Instance { lock, listener }))
}

fn socket_named_in(lock: &mut File) -> io::Result<PathBuf> {
    let mut path = String::new();
    lock.rewind()?;
    lock.take(4_096).read_to_string(&mut path)?;
    Ok(PathBuf::from(path.trim_end()))
}

fn ask_to_show(lock: &mut File) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket_named_in(lock)?)?;
    require_same_user(&stream)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    writeln!(stream, "{SHOW_WINDOW}")?;
    match read_line(&stream)?.as_str() {
        SHOWN => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn require_same_user(stream: &UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid == rustix::process::getuid() { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).take(64).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

impl Instance {
    /// Answers second starts for as long as the application runs.
    pub(crate) fn listen(self, app: AppHandle) {
        std::thread::spawn(move || {
            let Self { lock: _held, listener } = self;
            for stream in listener.incoming() {
                let shown = stream.and_then(|stream| show(&stream, &app));
                if let Err(error) = shown {
                    tracing::debug!(%error, "a second start is refused");
                }
            }
        });
    }
}

fn show(mut stream: &UnixStream, app: &AppHandle) -> io::Result<()> {
    require_same_user(stream)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    if read_line(stream)? != SHOW_WINDOW {
        return Err(io::ErrorKind::InvalidData.into());
    }
    window::show(app);
    writeln!(stream, "{SHOWN}")
}
