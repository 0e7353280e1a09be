//! The types of the ui, generated: `ui/src/api/types/core.ts` is made from the types of this crate and verified fresh by
//! the test below. `UPDATE_TYPES=1 cargo test -p temp-messenger-core types` writes it anew.

use std::path::Path;

use ts_rs::{Config, TS};

use crate::{api, error, event, lifetime, markup, message, room, session, settings, store};

fn generated() -> String {
    let config = Config::default();
    let mut file = "// Generated from crates/core by `make types`; do not edit.\n".to_owned();
    macro_rules! declare {
        ($($type:ty),* $(,)?) => {
            $(file.push_str(&format!("\nexport {}\n", <$type>::decl(&config)));)*
        };
    }
    declare!(
        message::MessageId,
        room::RoomName,
        lifetime::Lifetime,
        error::Code,
        error::Error,
        markup::Piece,
        message::Message,
        message::SaveMessage,
        message::Stamp,
        room::Room,
        room::PutRoom,
        event::Why,
        event::Link,
        event::Waiting,
        event::Event,
        event::Batch,
        store::Grade,
        store::Finding,
        api::Konnichiwa,
        settings::Tls,
        settings::Connect,
        settings::Settings,
        settings::Configure,
        session::Server,
        session::Status,
    );
    file
}

#[test]
fn the_uis_types_are_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/api/types/core.ts");
    let generated = generated();
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == generated, "ui/src/api/types/core.ts is not fresh: run `make types`");
}
