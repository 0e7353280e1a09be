//! The desktop shell and its composition root: settings, then the window's own lock, then the window. The only Rust that
//! names `tauri`; what a messenger does is in `temp_messenger_core`.

mod commands;
mod events;
mod shell;

use std::process::ExitCode;

use tauri::{Manager, RunEvent};
use temp_messenger_core::{
    error::{Code, Error, Result},
    folders,
    session::Session,
    settings::SettingsFile,
};
use tracing_subscriber::EnvFilter;

use crate::shell::{display, instance, window};

/// Opens the window and stays until it is closed. Says in one line why it could not.
pub fn run() -> ExitCode {
    let filter = EnvFilter::try_from_env("TEMP_MESSENGER_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match open() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("temp-messenger: {error}");
            ExitCode::from(error.code.exit_status())
        }
    }
}

fn open() -> Result<()> {
    display::require()?;
    let instance = match instance::claim(&folders::data()?)? {
        instance::Claim::First(instance) => instance,
        instance::Claim::Shown => return Ok(()),
    };
    let webview = folders::runtime()?.join("webview");
    let settings = SettingsFile::load()?;
    let address = settings.address()?;
    let access = settings.access(&address)?;
    let session = Session::new(settings, address, access).with_outbox(folders::data()?);
    let app = tauri::Builder::default()
        .plugin(commands::plugin())
        .manage(session)
        .manage(events::Outlet::default())
        .manage(shell::clipboard::Clipboard::default())
        .setup(move |app| {
            window::open(app, webview)?;
            instance.listen(app.handle().clone());
            Ok(())
        })
        .build(tauri::generate_context!("tauri.conf.json"))
        .map_err(|error| Error::new(Code::Internal, format!("the window cannot be opened: {error}")))?;
    app.run(|app, event| {
        // In order, so that the next start can tell an end from a crash.
        if matches!(event, RunEvent::Exit) {
            app.state::<events::Outlet>().close();
            tauri::async_runtime::block_on(app.state::<Session>().close());
        }
    });
    Ok(())
}
