//! A Tauri window with nothing in it: what a window costs before there is a messenger.

use tauri::{Manager, WebviewUrl, WebviewWindowBuilder};

fn main() -> tauri::Result<()> {
    tauri::Builder::default()
        .setup(|app| {
            let folder = app.path().app_cache_dir()?.join(uuid::Uuid::new_v4().simple().to_string());
            WebviewWindowBuilder::new(app, "main", WebviewUrl::default()).data_directory(folder).build()?;
            Ok(())
        })
        .run(tauri::generate_context!("tauri.conf.json"))
}
