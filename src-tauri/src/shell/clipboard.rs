//! The clipboard: what is copied from a message is cleared at min(60 s, its deadline), if it is still there.

use std::sync::{Arc, Mutex, PoisonError};

use temp_messenger_core::{
    clock::{Clock, SystemClock},
    error::{Code, Error, Result},
    lifetime::Millis,
    markup::Piece,
    message::Message,
};

/// How long a text stays at most, in ms.
const LONGEST_STAY: Millis = 60_000;

/// The system's clipboard, opened at the first copy and kept: on X11 it is this process that hands the text out.
#[derive(Clone, Default)]
pub(crate) struct Clipboard(Arc<Mutex<Option<arboard::Clipboard>>>);

impl Clipboard {
    /// Puts the message's text there, or a link that is in it, and sees to its going.
    pub(crate) async fn copy(&self, message: Message, link: Option<String>) -> Result<()> {
        let holds = |link: &String| {
            let pieces = message.pieces.iter().flatten();
            pieces.into_iter().any(|piece| matches!(piece, Piece::Link { url, .. } if url == link))
        };
        let text: Arc<str> = match link {
            None => message.message.into(),
            Some(link) if holds(&link) => link.into(),
            Some(_) => return Err(Error::new(Code::Invalid, "this link is not in the message")),
        };
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
