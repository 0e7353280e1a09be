//! `status` and `configure`: which store, room and name are in use, and how that is changed.

use std::fs;

use temp_messenger_core::{
    error::{Code, Error, Result},
    session::{Session, Status},
    settings::{Configure, Connect, Settings},
};

use crate::{
    args::{Call, Setting},
    commands::{Streams, json},
    failure::Failure,
    text::visible,
};

pub(crate) async fn status(call: &Call, session: &Session, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let status = session.status().await;
    if call.json {
        return streams.line(json(&status)?);
    }
    let Status { settings, folder, .. } = &status;
    let place = if folder.is_empty() { String::new() } else { format!(" ({})", visible(folder)) };
    streams.line(format_args!("store  {}{place}", visible(&settings.store)))?;
    let room = call.room(settings)?;
    streams.line(format_args!("room   {}", visible(room.as_str())))?;
    let name = settings.name.as_deref().unwrap_or(&status.proposed_name);
    streams.line(format_args!("name   {}", visible(name)))
}

/// Shows what is set, or sets it.
pub(crate) async fn configure(
    call: &Call,
    session: &Session,
    streams: &mut Streams<'_>,
    setting: Option<Setting>,
    value: Option<String>,
) -> Result<(), Failure> {
    let settings = match (setting, value) {
        (Some(setting), Some(value)) => return set(call, session, setting, value).await.map_err(Failure::from),
        _ => session.status().await.settings,
    };
    if call.json {
        return streams.line(json(&settings)?);
    }
    for (named, value) in values(&settings) {
        match setting {
            None => streams.line(format_args!("{:<5}  {}", named_as(named), visible(&value)))?,
            Some(setting) if setting == named => streams.line(visible(&value))?,
            Some(_) => {}
        }
    }
    Ok(())
}

fn values(settings: &Settings) -> [(Setting, String); 3] {
    [
        (Setting::Name, settings.name.clone().unwrap_or_default()),
        (Setting::Room, settings.room.to_string()),
        (Setting::Store, settings.store.clone()),
    ]
}

fn named_as(setting: Setting) -> &'static str {
    match setting {
        Setting::Name => "name",
        Setting::Room => "room",
        Setting::Store => "store",
    }
}

async fn set(call: &Call, session: &Session, setting: Setting, value: String) -> Result<()> {
    let change = match setting {
        Setting::Name => Configure { name: Some(value), room: None },
        Setting::Room => Configure { name: None, room: Some(value.parse()?) },
        Setting::Store => {
            let connect =
                Connect { store: value, password: password(call)?, tls: call.tls(&session.status().await.settings) };
            return session.connect(connect, || ()).await.map(drop);
        }
    };
    session.configure(change).await.map(drop)
}

/// What is to be kept with the address.
fn password(call: &Call) -> Result<Option<String>> {
    let read = |file: &std::path::PathBuf| {
        let text = fs::read_to_string(file)
            .map_err(|error| Error::new(Code::Invalid, format!("{}: {error}", file.display())))?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    };
    call.password_file.as_ref().map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::bench;

    #[tokio::test]
    async fn settings_are_shown_and_set() {
        let bench = bench();
        bench.says(&["configure", "name", "Ana"]).await;
        bench.says(&["configure", "room", "ops"]).await;
        assert_eq!(bench.says(&["configure"]).await, "name   Ana\nroom   ops\nstore  memory:\n");
        assert_eq!(bench.says(&["configure", "room"]).await, "ops\n");
        assert_eq!(bench.says(&["status"]).await, "store  memory:\nroom   ops\nname   Ana\n");
        assert_eq!(bench.refuses(&["configure", "name", " "]).await, Code::Invalid);
        assert_eq!(bench.refuses(&["configure", "store", "redis://a:b@c"]).await, Code::Refused);
    }
}
