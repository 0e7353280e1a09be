//! `rooms` and `room`: what rooms there are, and how long messages live in them.

use temp_messenger_core::{
    api::Api,
    room::{PutRoom, Room},
};
use unicode_width::UnicodeWidthStr;

use crate::{
    args::Call,
    commands::{Streams, json},
    failure::Failure,
    text::{fitted, visible},
};

/// A room's name takes no more columns than this.
const WIDEST: usize = 32;

pub(crate) async fn list(call: &Call, api: &dyn Api, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let rooms = api.list_rooms().await?;
    if call.json {
        return rooms.iter().try_for_each(|room| streams.line(json(room)?));
    }
    show(&rooms, streams)
}

pub(crate) async fn put(call: &Call, api: &dyn Api, streams: &mut Streams<'_>, put: PutRoom) -> Result<(), Failure> {
    let room = api.put_room(put).await?;
    if call.json {
        return streams.line(json(&room)?);
    }
    show(&[room], streams)
}

fn show(rooms: &[Room], streams: &mut Streams<'_>) -> Result<(), Failure> {
    let width = rooms.iter().map(|room| visible(room.name.as_str()).width()).max().unwrap_or(0).clamp(4, WIDEST);
    streams.line(format_args!("  {}  live   default  longest", fitted("room", width)))?;
    for Room { name, lifetime, longest, live } in rooms {
        let name = fitted(&visible(name.as_str()), width);
        streams.line(format_args!("  {name}  {live:<5}  {:<7}  {longest}", lifetime.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use temp_messenger_core::error::Code;

    use crate::commands::tests::bench;

    #[tokio::test]
    async fn rooms_are_made_and_listed() {
        let bench = bench();
        bench.says(&["room", "night shift", "--for", "10m", "--longest", "8h"]).await;
        bench.says(&["--room", "night shift", "send", "x"]).await;
        assert_eq!(
            bench.says(&["rooms"]).await,
            "  room         live   default  longest\n  lobby        0      1 h      30 d\n  night shift  1      10 min   8 h\n"
        );
        assert_eq!(bench.refuses(&["--room", "night shift", "send", "--for", "1d", "x"]).await, Code::OutOfRange);
        assert_eq!(bench.refuses(&["room", " "]).await, Code::Invalid);
    }
}
