//! `watch`: what is alive, then everything that comes, as lines, as JSON, or on a screen of its own.

use std::{io::Write, pin::pin, sync::Arc};

use temp_messenger_core::{
    api::{Show, Subscribe},
    clock::{StoreTime, SystemClock},
    error::{Code, Error},
    event::{Event, Link},
    room::RoomName,
    session::Session,
};

use crate::{
    args::Call,
    commands::{Streams, json},
    failure::Failure,
    following::Following,
    look::Look,
    screen::Screen,
    table::Table,
};

/// Where the news goes.
enum View<'a> {
    Json(&'a mut dyn Write),
    Lines { output: &'a mut dyn Write, look: &'a Look, again: &'a str },
    Screen(Screen<'a>),
}

/// Shows a room until `until`.
pub(crate) async fn watch(
    call: &Call,
    session: &Session,
    streams: &mut Streams<'_>,
    room: RoomName,
    again: &str,
    until: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let mut until = pin!(until);
    let api = session.api().await?;
    let time = StoreTime::new(Arc::new(SystemClock));
    let subscribe = Subscribe { rooms: vec![room.clone()], expiry: true };
    let mut subscription = api.events(subscribe).await?;
    let mut following = Following::new(room.clone());
    let (output, look) = (&mut *streams.output, &streams.look);
    let mut view = match (call.json, (look.size)()) {
        (true, _) => View::Json(output),
        (false, None) => View::Lines { output, look, again },
        (false, Some(_)) => View::Screen(Screen::enter(output, look, again, &room, &session.address())?),
    };
    loop {
        let event = tokio::select! {
            () = &mut until => return Ok(()),
            event = subscription.events.recv() => event,
            () = view.tick(&time), if following.is_settled() => {
                view.paint(&time)?;
                continue;
            }
        };
        let event = event.ok_or_else(|| Error::new(Code::Unreachable, "the store has ended"))?;
        if let Event::Page { now, .. } = &event {
            time.sample(*now, time.asked());
        }
        if let (Event::Link { link }, View::Screen(screen)) = (&event, &mut view) {
            screen.link(link);
        }
        // Nothing will come any more before somebody does something about it.
        if let Event::Link { link: Link::Refused { message } } = event {
            return Err(Error::new(Code::Refused, message).into());
        }
        let outcome = following.follow(event);
        for news in outcome.news {
            view.tell(news, &time)?;
        }
        // A screen that says for a moment that nothing is alive would say what is not so.
        if following.is_settled() {
            view.paint(&time)?;
        }
        if let Some(before) = outcome.ask {
            let show = Show { subscription: subscription.id, room: room.clone(), before: Some(before) };
            api.show(show).await?;
        }
    }
}

impl View<'_> {
    fn tell(&mut self, news: Event, time: &StoreTime) -> Result<(), Failure> {
        match (self, news) {
            (Self::Json(output), news) => writeln!(output, "{}", json(&news)?)?,
            (Self::Lines { output, look, again }, Event::Saved { message }) => {
                let left = message.deadline.saturating_sub(time.now());
                for line in Table::of([&message], look, false, again).row(&message, left) {
                    writeln!(output, "{line}")?;
                }
            }
            // A line that is written stays; its time is told by the line itself.
            (Self::Lines { .. }, _) => {}
            (Self::Screen(screen), news) => screen.apply(news),
        }
        Ok(())
    }

    fn paint(&mut self, time: &StoreTime) -> Result<(), Failure> {
        match self {
            Self::Json(output) | Self::Lines { output, .. } => output.flush()?,
            Self::Screen(screen) => screen.paint(time.now())?,
        }
        Ok(())
    }

    /// Waits until what is left reads differently; only a screen is painted again for that.
    async fn tick(&self, time: &StoreTime) {
        match self {
            Self::Screen(screen) => time.wait_until(screen.next_change(time.now())).await,
            Self::Json(_) | Self::Lines { .. } => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use clap::Parser;
    use serde_json::Value;
    use temp_messenger_core::message::{MessageId, SaveMessage};
    use tokio::sync::Notify;

    use super::*;
    use crate::{commands::tests::bench, look::Look, table::tests::terminal};

    fn text(message: &str) -> SaveMessage {
        let lifetime = "30m".parse().ok();
        SaveMessage { id: None, room: RoomName::lobby(), message: message.to_owned(), lifetime, once: false }
    }

    /// Tells when what was written holds some words.
    struct Paper<'a> {
        written: Vec<u8>,
        wanted: &'a str,
        found: &'a Notify,
    }

    impl Write for Paper<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.written.extend_from_slice(bytes);
            if String::from_utf8_lossy(&self.written).contains(self.wanted) {
                self.found.notify_one();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Watches the lobby, in which 60 messages are alive, until these words are written.
    async fn watched(words: &[&str], look: Look, wanted: &str) -> String {
        let bench = bench();
        let api = bench.session.api().await.unwrap();
        for n in 0..60 {
            api.save_message(text(&format!("before {n}"))).await.unwrap();
        }
        let deleted = api.save_message(text("deleted")).await.unwrap().id;
        let call = Call::try_parse_from([&["tempmsg"], words].concat()).unwrap_or_else(|error| panic!("{error}"));
        let (found, room) = (Notify::new(), RoomName::lobby());
        let mut paper = Paper { written: Vec::new(), wanted, found: &found };
        let mut streams = Streams { input: &mut std::io::empty(), output: &mut paper, look };
        let watching = watch(&call, &bench.session, &mut streams, room, "tempmsg", found.notified());
        let meanwhile = async {
            api.delete_message(deleted).await.unwrap();
            api.save_message(text("\u{1b}[2J after")).await.unwrap();
        };
        let both = async { tokio::join!(watching, meanwhile).0 };
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().unwrap();
        String::from_utf8(paper.written).unwrap()
    }

    #[tokio::test]
    async fn lines_begin_with_all_that_is_alive() {
        let pipe = Look { size: || None, ..terminal() };
        let lines = watched(&["watch"], pipe, "after").await;
        let lines: Vec<_> = lines.lines().filter(|line| !line.ends_with("deleted")).collect();
        assert_eq!(lines.len(), 61);
        for (n, line) in lines[..60].iter().enumerate() {
            assert!(line.starts_with("  ◑  ") && line.ends_with(&format!("  you     before {n}")), "{line}");
        }
        assert!(lines[60].ends_with("U+001B[2J after"));
    }

    #[tokio::test]
    async fn json_is_one_event_a_line() {
        let pipe = Look { size: || None, ..terminal() };
        let lines = watched(&["watch", "--json"], pipe, "after").await;
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let saved: Vec<_> = events.iter().filter(|event| event["event"] == "saved").collect();
        let ids: BTreeSet<_> = saved.iter().map(|event| event["message"]["id"].to_string()).collect();
        // The deleted one comes with its end, or not at all.
        assert!(ids.len() == saved.len() && events.len() - ids.len() == ids.len() - 61, "{lines}");
        assert!(events.iter().all(|event| ["saved", "ended"].contains(&event["event"].as_str().unwrap())));
        assert!(events[0]["message"]["id"].as_str().unwrap().parse::<MessageId>().is_ok());
    }

    #[tokio::test]
    async fn a_terminal_gets_a_screen_and_has_its_own_back() {
        let written = watched(&["watch"], terminal(), "after").await;
        assert!(written.starts_with("\u{1b}[?1049h"), "{written:?}");
        assert!(written.ends_with("\u{1b}[?1049l"), "{written:?}");
        assert!(written.contains("  lobby, in memory    connected ") && written.contains("older: tempmsg list"));
        assert!(written.contains("Ctrl+C ends.") && !written.contains("\u{1b}[2J"), "{written:?}");
    }
}
