//! The one window: what it loads, what it may not do, and how it comes to the front.

use std::path::PathBuf;

use tauri::{
    App, AppHandle, Manager, Theme, WebviewUrl, WebviewWindowBuilder, webview::Color, webview::NewWindowResponse,
};

const LABEL: &str = "main";

/// Opens it: nothing of it on the disk but in the folder `webview`, no other page, no other window.
pub(crate) fn open(app: &App, webview: PathBuf) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Temp Messenger")
        .inner_size(1_040.0, 720.0)
        .min_inner_size(360.0, 420.0)
        .on_navigation(|url| url.scheme() == "tauri")
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .devtools(cfg!(debug_assertions));
    let window = match automation_folder(app)? {
        Some(folder) => window.data_directory(folder),
        // What even an incognito webview writes (salts, an empty list of hosts) goes where nothing outlives the session.
        None => window.incognito(true).data_directory(webview),
    };
    let window = window.build()?;
    // The first frame's ground, so that a dark desktop does not flash white.
    let ground = if window.theme()? == Theme::Dark { Color(18, 25, 23, 255) } else { Color(251, 252, 250, 255) };
    window.set_background_color(Some(ground))
}

/// A driver cannot attach to an incognito webview: under automation its data goes to a fresh folder of its own.
fn automation_folder(app: &App) -> tauri::Result<Option<PathBuf>> {
    if std::env::var("TAURI_WEBVIEW_AUTOMATION").is_ok_and(|automation| automation == "true") {
        let folder = app.path().app_cache_dir()?.join(format!("automation-{}", uuid::Uuid::new_v4().simple()));
        return Ok(Some(folder));
    }
    Ok(None)
}

/// Brings it to the front.
pub(crate) fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let shown = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
        if let Err(error) = shown {
            tracing::warn!(%error, "the window cannot be brought to the front");
        }
    }
}
