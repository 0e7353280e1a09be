//! The clipboard: what is copied from a message is cleared at min(60 s, its deadline), if it is still there.

use std::sync::{Arc, Mutex, PoisonError};

use temp_messenger_core::{
    clock::{Clock, SystemClock},
    error::{Code, Error, Result},
    lifetime::Millis,
    message::Message,
};

/// How long a text stays at most, in ms.
const LONGEST_STAY: Millis = 60_000;

/// The system's clipboard, opened at the first copy and kept: on X11 it is this process that hands the text out.
#[derive(Clone, Default)]
pub(crate) struct Clipboard(Arc<Mutex<Option<arboard::Clipboard>>>);

impl Clipboard {
    /// Puts the message's text there, and sees to its going.
    pub(crate) async fn copy(&self, message: Message) -> Result<()> {
        let text: Arc<str> = message.message.into();
        let until = SystemClock.boot() + message.expires_in.min(LONGEST_STAY);
        let copied = text.clone();
        self.with(move |clipboard| clipboard.set_text(&*copied)).await?;
        let clipboard = self.clone();
        tauri::async_runtime::spawn(async move {
            while SystemClock.boot() < until {
                SystemClock.wait_until(until).await;
            }
            let cleared = clipboard.with(move |clipboard| match clipboard.get_text() {
                Ok(there) if *there == *text => clipboard.clear(),
                _ => Ok(()),
            });
            if let Err(error) = cleared.await {
                tracing::warn!(%error, "the clipboard cannot be cleared");
            }
        });
        Ok(())
    }

    /// On a thread that may wait for the system.
    async fn with<F>(&self, work: F) -> Result<()>
    where
        F: FnOnce(&mut arboard::Clipboard) -> Result<(), arboard::Error> + Send + 'static,
    {
        let clipboard = self.0.clone();
        let worked = tauri::async_runtime::spawn_blocking(move || {
            let mut clipboard = clipboard.lock().unwrap_or_else(PoisonError::into_inner);
            match clipboard.as_mut() {
                Some(open) => work(open),
                None => work(clipboard.insert(arboard::Clipboard::new()?)),
            }
        });
        let fault = |error: String| Error::new(Code::Internal, format!("the clipboard does not answer: {error}"));
        worked.await.map_err(|error| fault(error.to_string()))?.map_err(|error| fault(error.to_string()))
    }
}
