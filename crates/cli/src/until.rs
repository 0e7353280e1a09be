//! What ends a watch: Ctrl+C, a request to end, or the reader of standard output going away.

use std::{io::stdout, thread};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Resolves when the watch is over.
pub(crate) async fn ended() {
    tokio::select! {
        () = told(SignalKind::interrupt()) => {}
        () = told(SignalKind::terminate()) => {}
        () = reader_gone() => {}
    }
}

async fn told(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Then the system's own way of ending a process stays in force.
        Err(_) => std::future::pending().await,
    }
}

/// Otherwise a watch whose reader is gone would own the store until the next message comes.
async fn reader_gone() {
    let (gone, told) = oneshot::channel();
    // A thread of its own, because it waits for as long as the process lives.
    let waits = thread::Builder::new().spawn(move || {
        let output = stdout();
        // Nothing is asked for: errors and hang-ups come unasked.
        while poll(&mut [PollFd::new(&output, PollFlags::empty())], None) == Err(rustix::io::Errno::INTR) {}
        let _ = gone.send(());
    });
    if waits.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}
