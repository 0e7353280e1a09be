//! Takes the pictures of `docs/` from the real window: `pictures FOLDER`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the tests")]

use std::{path::PathBuf, sync::Arc};

use temp_messenger_core::{
    api::Api,
    clock::SystemClock,
    message::SaveMessage,
    messenger::Messenger,
    room::RoomName,
    settings::{Configure, SettingsFile},
    store::sled::SledStore,
};
use temp_messenger_tests::{
    home::Home,
    redis::Server,
    window::{Display, Window},
};

const WORDS: &[(&str, &str, &str)] = &[
    (
        "Ana",
        "7h",
        "The certificate on the mail gateway runs out on Friday. I would swap it tonight after ten, while the queue is short.",
    ),
    ("Ana", "7h", "Ten minutes without mail at most. Anybody against it?"),
    ("Ben", "22m", "Not me. Please tell the night shift first."),
    (
        "Chidi",
        "6d",
        "```\n$ openssl x509 -in gw.pem -noout -enddate -issuer\nnotAfter=Nov 27 23:59:59 2026 GMT\nissuer=CN=Harbour Internal CA 2\n```",
    ),
    ("Ben", "41m", "Step 4 of the page is new, please read it: https://wiki.harbour.example/runbooks/mail-gateway"),
    ("you", "45m", "Yes, that one. I have it."),
    ("Ana", "50m", "The cage door is `4471#`, then the left handle."),
    ("Chidi", "34s", "Table 6 by the window is ours. Hurry up."),
    ("you", "59m", "On my way, two minutes."),
];

/// Writes the conversation as its people would have.
async fn fill(home: &Home) {
    let store = Arc::new(SledStore::open(&home.store(), Arc::new(SystemClock)).await.unwrap());
    for (author, lifetime, message) in WORDS {
        let place = match *author {
            "you" => home.path().join("config/temp-messenger/settings.json"),
            other => home.path().join(other).join("settings.json"),
        };
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let settings = SettingsFile::load_from(&place).unwrap();
        let name = if *author == "you" { "Mei" } else { author };
        settings.configure(Configure { name: Some(name.to_owned()), room: None }).unwrap();
        let messenger = Messenger::new(store.clone(), settings, Arc::new(SystemClock));
        let request = SaveMessage {
            id: None,
            room: RoomName::lobby(),
            message: (*message).to_owned(),
            lifetime: lifetime.parse().ok(),
            once: false,
        };
        messenger.save_message(request).await.unwrap();
    }
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("pictures FOLDER"));
    std::fs::create_dir_all(&folder).unwrap();
    let display = Display::start();
    for (theme, variables) in [("light", &[][..]), ("dark", &[("GTK_THEME", "Adwaita:dark")][..])] {
        let fresh = Home::default();
        let window = Window::open_with(&fresh, &display, variables).await;
        window.resize(1_040, 720).await;
        window.part("button", "Open the lobby").await;
        window.picture(&folder.join(format!("first-start-{theme}.png"))).await;
        window.resize(360, 640).await;
        window.picture(&folder.join(format!("first-start-360-{theme}.png"))).await;
        window.enter_the_lobby("Mei").await;
        window.says("Nothing here right now.").await;
        window.picture(&folder.join(format!("empty-360-{theme}.png"))).await;
        window.close().await;

        let home = Home::default();
        fill(&home).await;
        let window = Window::open_with(&home, &display, variables).await;
        window.resize(1_040, 720).await;
        window.message("On my way, two minutes.").await;
        window.picture(&folder.join(format!("conversation-{theme}.png"))).await;
        window.press("button", "Lifetime").await;
        window.press("menuitem", "Custom").await;
        window.part("button", "Set").await;
        window.picture(&folder.join(format!("lifetime-{theme}.png"))).await;
        window.press("menuitemradio", "10 min").await;
        let newest = "[...document.querySelectorAll('button[aria-label=\"Message actions\"]')].at(-1).click()";
        window.run(newest, vec![]).await;
        window.part("menuitem", "Delete now").await;
        window.picture(&folder.join(format!("menu-{theme}.png"))).await;
        window
            .run(
                "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))",
                vec![],
            )
            .await;
        window.press("button", "Settings").await;
        window.part("dialog", "Settings").await;
        window.picture(&folder.join(format!("settings-{theme}.png"))).await;
        window.press("button", "Close").await;
        window.resize(360, 640).await;
        window.picture(&folder.join(format!("conversation-360-{theme}.png"))).await;
        window.close().await;

        let (mut server, home) = (Server::restricted(&[]), Home::default());
        let window = Window::open_with(&home, &display, variables).await;
        window.resize(1_040, 720).await;
        window.press("button", "Connect to our Redis").await;
        for (name, text) in [
            ("Server address", format!("redis://localhost:{}", server.port)),
            ("User", "admin".to_owned()),
            ("Password", "admin".to_owned()),
        ] {
            window.type_into(name, &text).await;
        }
        window.press("button", "Test connection").await;
        window.says("Konnichiwa!").await;
        window.picture(&folder.join(format!("server-{theme}.png"))).await;
        window.press("button", "Connect").await;
        window.says("Connected").await;
        window.until("Settings is closed", "return !document.querySelector('dialog')").await;
        window.send("Step 4 is done, the queue drains.").await;
        window.message("Step 4 is done, the queue drains.").await;
        server.kill();
        window.says("No connection to localhost").await;
        window.send("I will look at it from home.").await;
        window.says("1 waiting to be sent").await;
        window.picture(&folder.join(format!("offline-{theme}.png"))).await;
        window.resize(360, 640).await;
        window.picture(&folder.join(format!("offline-360-{theme}.png"))).await;
        window.close().await;
    }
}
