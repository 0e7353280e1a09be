//! The terminal face: `tempmsg`. Here are only the start and the end of the process; what is asked stands in `args`, what
//! is done in `commands`, how it looks in `table` and `screen`.

mod args;
mod commands;
mod failure;
mod following;
mod konnichiwa;
mod look;
mod prompt;
mod rooms;
mod rpc;
mod screen;
mod settings;
mod table;
mod text;
mod until;
mod watch;

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use temp_messenger_core::{
    error::{Code, Error},
    session::Session,
    settings::SettingsFile,
};
use tracing_subscriber::EnvFilter;

use crate::{args::Call, commands::Streams, failure::Failure, look::Look};

/// How long an end waits for what cannot be put off.
const LEAVING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    log();
    let call = match Call::try_parse() {
        Ok(call) => call,
        Err(error) => return ExitCode::from(failure::usage(&error)),
    };
    let status = match serve(&call) {
        Ok(()) => 0,
        Err(failure) => failure.report(call.json, &mut io::stderr()),
    };
    ExitCode::from(status)
}

fn serve(call: &Call) -> Result<(), Failure> {
    let settings = SettingsFile::load()?;
    let address = match &call.store {
        Some(store) => store.parse()?,
        None => settings.address()?,
    };
    let access = call.access(&settings, &address)?;
    let session = Session::new(settings, address, access);
    // More than one thread: a reader who keeps standard output waiting must not keep the store from sweeping.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::new(Code::Internal, format!("no threads can be had: {error}")))?;
    let mut output = BufWriter::new(io::stdout());
    let mut streams = Streams { input: &mut io::stdin(), output: &mut output, look: Look::of_this_process() };
    let done = runtime.block_on(async {
        if call.command.opens_the_store() {
            prompt::ask_where_needed(&session).await?;
        }
        commands::run(call, &session, &mut streams, until::ended()).await
    });
    drop(session);
    // Somebody who types nothing keeps a thread that reads what is typed; nothing else may keep us.
    runtime.shutdown_timeout(LEAVING);
    done?;
    Ok(output.flush()?)
}

/// Logs go to standard error and only where they are asked for; they never hold what people write.
fn log() {
    let filter = EnvFilter::try_from_env("TEMP_MESSENGER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    let colours = io::stderr().is_terminal() && !look::colours_refused();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
}
