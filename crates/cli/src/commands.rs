//! The commands that ask once and are done. `watch` has a file of its own.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use serde::Serialize;
use temp_messenger_core::{
    api::{Api, ClaimMessage, GetAllMessages, SetLifetime},
    error::{Code, Error, Result},
    message::{Message, MessageId, SaveMessage},
    room::{PutRoom, RoomName},
    session::Session,
    store::LARGEST_PAGE,
};

use uuid::Uuid;

use crate::{
    args::{Call, Command},
    failure::Failure,
    konnichiwa,
    look::Look,
    rooms, rpc, settings,
    table::Table,
    text::{given, visible},
    watch,
};

/// What a command reads and writes.
pub(crate) struct Streams<'a> {
    pub(crate) input: &'a mut dyn Read,
    pub(crate) output: &'a mut dyn Write,
    pub(crate) look: Look,
}

impl Streams<'_> {
    /// One line.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.output, "{line}")?)
    }
}

/// Anything as JSON in one line.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(Code::Internal, format!("JSON cannot be written: {error}")))
}

/// Does what is asked; `until` ends a watch.
pub(crate) async fn run(
    call: &Call,
    session: &Session,
    streams: &mut Streams<'_>,
    until: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let settings = session.status().await.settings;
    let room = call.room(&settings)?;
    match &call.command {
        Command::Send { text, lifetime, once } => {
            let lifetime = lifetime.as_deref().map(str::parse).transpose()?;
            // Before the store is opened, so that nobody else has to wait for what is typed here.
            let message = given(text.clone(), streams.input)?;
            send(call, session, streams, SaveMessage { id: None, room, message, lifetime, once: *once }).await?;
        }
        Command::List { limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            list(call, session, streams, room, limit).await?;
        }
        Command::Get { id } => get(call, &*session.api().await?, streams, room, id).await?,
        Command::Watch => {
            let again = call.again(&settings);
            watch::watch(call, session, streams, room, &again, until).await?;
        }
        Command::Take { id } => {
            let api = session.api().await?;
            let id = identify(&*api, room, id).await?;
            let text = api.claim_message(ClaimMessage { id, nonce: Uuid::new_v4() }).await?;
            print(call, streams, &text)?;
        }
        Command::Delete { id } => {
            let api = session.api().await?;
            let id = identify(&*api, room, id).await?;
            api.delete_message(id).await?;
        }
        Command::Lifetime { id, lifetime } => {
            let lifetime = lifetime.parse()?;
            let api = session.api().await?;
            let id = identify(&*api, room, id).await?;
            let stamp = api.set_lifetime(SetLifetime { id, lifetime }).await?;
            if call.json {
                streams.line(json(&stamp)?)?;
            }
        }
        Command::Rooms => rooms::list(call, &*session.api().await?, streams).await?,
        Command::PutRoom { name, lifetime, longest } => {
            let parse = |lifetime: &Option<String>| lifetime.as_deref().map(str::parse).transpose();
            let put = PutRoom { name: name.parse()?, lifetime: parse(lifetime)?, longest: parse(longest)? };
            rooms::put(call, &*session.api().await?, streams, put).await?;
        }
        Command::Status => settings::status(call, session, streams).await?,
        Command::Configure { setting, value } => {
            settings::configure(call, session, streams, *setting, value.clone()).await?;
        }
        Command::Rpc => rpc::serve(session, streams, tokio::io::stdin(), until).await?,
        Command::Konnichiwa => konnichiwa::ask(call, &*session.api().await?, streams).await?,
    }
    Ok(streams.output.flush()?)
}

async fn send(call: &Call, session: &Session, streams: &mut Streams<'_>, request: SaveMessage) -> Result<(), Failure> {
    let request = SaveMessage { id: Some(MessageId::random()), ..request };
    let stamp = session.api().await?.save_message(request).await?;
    if call.json { streams.line(json(&stamp)?) } else { streams.line(stamp.id) }
}

async fn list(
    call: &Call,
    session: &Session,
    streams: &mut Streams<'_>,
    room: RoomName,
    limit: usize,
) -> Result<(), Failure> {
    let api = session.api().await?;
    let (messages, more) = newest(&api, &room, limit).await?;
    if call.json {
        return messages.iter().try_for_each(|message| streams.line(json(message)?));
    }
    let again = call.again(&session.status().await.settings);
    if messages.is_empty() {
        // For people alone: in a pipe nothing is nothing.
        return match (streams.look.size)() {
            Some(_) => streams.line(format_args!("  nothing is alive in {}", visible(room.as_str()))),
            None => Ok(()),
        };
    }
    let look = streams.look.clone();
    let table = Table::of(&messages, &look, true, &again);
    streams.line(table.header())?;
    for message in &messages {
        for line in table.row(message, message.expires_in) {
            streams.line(line)?;
        }
    }
    if more {
        let live = api.list_rooms().await?.into_iter().find(|found| found.name == room).map_or(0, |room| room.live);
        let older = usize::try_from(live).unwrap_or(usize::MAX).saturating_sub(messages.len()).max(1);
        streams.line(format_args!("  {older} older: {again} list --limit {}", messages.len() + older))?;
    }
    Ok(())
}

/// Up to so many of a room's newest messages, in order of acceptance, and whether older ones are alive.
async fn newest(api: &Arc<dyn Api>, room: &RoomName, limit: usize) -> Result<(Vec<Message>, bool)> {
    // Newest first until the end, so that a page need not be put before all the others.
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let before = messages.last().map(|message| message.seq);
        let wanted = (limit - messages.len()).min(LARGEST_PAGE);
        let request = GetAllMessages { room: room.clone(), before, limit: Some(wanted) };
        let page = api.get_all_messages(request).await?;
        let empty = page.messages.is_empty();
        messages.extend(page.messages.into_iter().rev());
        if empty || !page.more || messages.len() >= limit {
            messages.reverse();
            return Ok((messages, page.more));
        }
    }
}

async fn get(
    call: &Call,
    api: &dyn Api,
    streams: &mut Streams<'_>,
    room: RoomName,
    beginning: &str,
) -> Result<(), Failure> {
    let message = match beginning.parse() {
        Ok(id) => api.get_message(id).await?,
        Err(_) => find(api, room, beginning).await?,
    };
    if call.json {
        return streams.line(json(&message)?);
    }
    if message.once {
        return Err(Error::new(Code::Unsupported, "this message is to be seen once: take shows it, and ends it").into());
    }
    print(call, streams, &message.message)
}

/// A text: for people so that they see all of it, else byte for byte.
fn print(call: &Call, streams: &mut Streams<'_>, text: &str) -> Result<(), Failure> {
    if call.json {
        return streams.line(json(&text)?);
    }
    if (streams.look.size)().is_some() {
        return streams.line(visible(text));
    }
    Ok(streams.output.write_all(text.as_bytes())?)
}

/// The id that is meant by it or by its beginning.
async fn identify(api: &dyn Api, room: RoomName, beginning: &str) -> Result<MessageId> {
    match beginning.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find(api, room, beginning).await?.id),
    }
}

/// The one message among the room's newest whose id begins so.
async fn find(api: &dyn Api, room: RoomName, beginning: &str) -> Result<Message> {
    let digits = !beginning.is_empty() && beginning.chars().all(|character| character.is_ascii_hexdigit());
    if !digits || beginning.len() > 32 {
        return Err(Error::new(Code::Invalid, "a message's id is 32 hex digits, or the first few of them"));
    }
    let beginning = beginning.to_ascii_lowercase();
    let request = GetAllMessages { room, before: None, limit: Some(LARGEST_PAGE) };
    let mut found = api.get_all_messages(request).await?.messages;
    found.retain(|message| message.id.to_string().starts_with(&beginning));
    match found.len() {
        0 | 1 => found.pop().ok_or_else(Error::no_such_message),
        many => Err(Error::new(Code::Invalid, format!("{many} messages begin with {beginning}: give more digits"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;
    use temp_messenger_core::{
        settings::SettingsFile,
        store::{Access, Address},
    };

    use super::*;
    use crate::table::tests::terminal;

    pub(crate) struct Bench {
        pub(crate) session: Session,
        pub(crate) look: Look,
        _folder: tempfile::TempDir,
    }

    pub(crate) fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let settings = SettingsFile::load_from(&folder.path().join("settings.json")).unwrap();
        let look = Look { size: || None, ..terminal() };
        Bench { session: Session::new(settings, Address::Memory, Access::default()), look, _folder: folder }
    }

    impl Bench {
        async fn run(&self, words: &[&str], mut input: &[u8]) -> Result<Vec<u8>, Failure> {
            let call = Call::try_parse_from([&["tempmsg"], words].concat()).unwrap_or_else(|error| panic!("{error}"));
            let mut output = Vec::new();
            let mut streams = Streams { input: &mut input, output: &mut output, look: self.look.clone() };
            run(&call, &self.session, &mut streams, std::future::pending()).await?;
            Ok(output)
        }

        pub(crate) async fn says(&self, words: &[&str]) -> String {
            String::from_utf8(self.run(words, b"").await.unwrap()).unwrap()
        }

        pub(crate) async fn refuses(&self, words: &[&str]) -> Code {
            match self.run(words, b"").await {
                Err(Failure::Core(error)) => error.code,
                other => panic!("{words:?}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_listed_and_had_byte_for_byte() {
        let bench = bench();
        let text = "\u{1b}[31m two \n lines \r\n\n";
        let id = bench.run(&["send", "--for", "10m"], text.as_bytes()).await.unwrap();
        let id = String::from_utf8(id).unwrap();
        assert_eq!(id.trim().len(), 32);
        let row = bench.says(&["list"]).await;
        assert!(row.contains(&format!("{}  ◑  ", &id[..8])) && row.contains("you     U+001B[31m two"), "{row}");
        assert_eq!(bench.run(&["get", id.trim()], b"").await.unwrap(), &text.as_bytes()[..text.len() - 1]);
        assert_eq!(bench.says(&["get", &id[..6].to_uppercase()]).await, text[..text.len() - 1]);
        let shown = Bench { look: terminal(), ..bench }.says(&["get", &id[..6]]).await;
        assert_eq!(shown, "U+001B[31m two \n lines U+000D\n\n");
    }

    #[tokio::test]
    async fn older_ones_are_counted() {
        let bench = bench();
        for n in 0..14 {
            bench.says(&["--room", "night shift", "send", &format!("number {n}")]).await;
        }
        let list = bench.says(&["--room", "night shift", "list", "--limit", "6"]).await;
        let lines: Vec<_> = list.lines().collect();
        assert_eq!(lines.len(), 8);
        assert!(lines[1].ends_with("number 8") && lines[6].ends_with("number 13"), "{list}");
        assert_eq!(lines[7], "  8 older: tempmsg --room 'night shift' list --limit 14");
        assert_eq!(bench.says(&["list"]).await, "");
        let objects = bench.says(&["--room", "night shift", "list", "--json"]).await;
        assert_eq!(objects.lines().count(), 14);
    }

    #[tokio::test]
    async fn more_than_a_page_is_read_page_by_page() {
        let bench = bench();
        let (room, api) = (RoomName::lobby(), bench.session.api().await.unwrap());
        for n in 0..450 {
            let message = n.to_string();
            let request = SaveMessage { id: None, room: room.clone(), message, lifetime: None, once: false };
            api.save_message(request).await.unwrap();
        }
        let (messages, more) = newest(&api, &room, 430).await.unwrap();
        let texts: Vec<_> = messages.into_iter().map(|message| message.message).collect();
        let expected: Vec<_> = (20..450).map(|n| n.to_string()).collect();
        assert_eq!((texts, more), (expected, true));
        assert!(!newest(&api, &room, 900).await.unwrap().1);
        // Every first digit stands for many messages.
        assert!(bench.refuses(&["get", "a"]).await == Code::Invalid);
    }

    #[tokio::test]
    async fn bad_input_is_refused_with_its_code() {
        let bench = bench();
        for (words, code) in [
            (&["send", " "] as &[_], Code::Invalid),
            (&["send", "x", "--for", "0s"], Code::OutOfRange),
            (&["send", "x", "--for", "31d"], Code::OutOfRange),
            (&["send", "x", "--for", "soon"], Code::Invalid),
            (&["send", "x", "--room", ""], Code::Invalid),
            (&["get", "c8d0447b55aa4be2b9d04e77c1f20a93"], Code::NotFound),
            (&["get", "c8"], Code::NotFound),
            (&["get", ""], Code::Invalid),
            (&["get", "no id"], Code::Invalid),
        ] {
            assert_eq!(bench.refuses(words).await, code, "{words:?}");
        }
        assert_eq!(bench.says(&["list"]).await, "");
    }

    #[tokio::test]
    async fn a_message_seen_once_is_taken_once() {
        let bench = bench();
        let id = bench.says(&["send", "--once", "swordfish"]).await;
        let id = id.trim();
        let listed: serde_json::Value = serde_json::from_str(&bench.says(&["list", "--json"]).await).unwrap();
        assert_eq!((&listed["once"], &listed["message"]), (&true.into(), &"".into()));
        assert_eq!(bench.refuses(&["get", id]).await, Code::Unsupported);
        assert_eq!(bench.says(&["take", &id[..8]]).await, "swordfish");
        assert_eq!(bench.refuses(&["take", id]).await, Code::Taken);
    }

    #[tokio::test]
    async fn a_message_is_deleted_and_given_another_lifetime() {
        let bench = bench();
        let id = bench.says(&["send", "--for", "1h", "x"]).await;
        let id = id.trim();
        let stamp: serde_json::Value =
            serde_json::from_str(&bench.says(&["lifetime", id, "10m", "--json"]).await).unwrap();
        let left = stamp["deadline"].as_u64().unwrap() - stamp["now"].as_u64().unwrap();
        assert_eq!(left, 600_000);
        assert_eq!(bench.refuses(&["lifetime", id, "31d"]).await, Code::OutOfRange);
        assert_eq!(bench.says(&["delete", &id[..6]]).await, "");
        assert_eq!(bench.refuses(&["delete", id]).await, Code::NotFound);
    }
}
