//! The real window end to end: what a person does, and what they see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{process::Command, time::Duration};

use fantoccini::{Locator, key::Key};
use serde_json::json;
use temp_messenger_tests::{
    binary,
    home::Home,
    process::Process,
    window::{Display, PATIENCE, Window},
};

async fn lobby() -> (Home, Display, Window) {
    let (home, display) = (Home::default(), Display::start());
    let window = Window::open(&home, &display).await;
    window.enter_the_lobby("Mei").await;
    (home, display, window)
}

/// Chooses a lifetime for the next message by the chip beside Send.
async fn custom_lifetime(window: &Window, number: &str, unit: &str) {
    window.press("button", "Lifetime").await;
    window.press("menuitem", "Custom").await;
    let field = window.part("spinbutton", "How long").await;
    field.clear().await.unwrap();
    field.send_keys(number).await.unwrap();
    window.part("combobox", "Unit").await.select_by_label(unit).await.unwrap();
    window.press("button", "Set").await;
}

#[tokio::test]
async fn first_start_send_countdown_and_expiry_on_time() {
    let (home, display) = (Home::default(), Display::start());
    let window = Window::open(&home, &display).await;
    let name = window.part("textbox", "Display name").await;
    assert_eq!(name.prop("value").await.unwrap().unwrap(), "mei", "the system's user name is proposed");
    window.enter_the_lobby("Mei").await;
    window.says("Nothing here right now.").await;
    custom_lifetime(&window, "6", "seconds").await;
    // The page notes when the words were last there, so that the driver's own round trips do not blur the moment.
    let watch = "window.seen = []; const look = () => { \
                 const body = document.querySelector('[role=log] [data-part=body]'); \
                 if (body?.innerText.includes('under the mat')) window.seen.push(Date.now()); requestAnimationFrame(look) }; look()";
    window.run(watch, vec![]).await;
    window.send("The key is under the mat.").await;
    window.message("The key is under the mat.").await;
    let left = "return parseInt(document.querySelector('[data-part=countdown]')?.innerText ?? '99')";
    let first = window.run(left, vec![]).await.as_i64().unwrap();
    assert!((1..=6).contains(&first), "{first}");
    window
        .until(
            "the countdown falls",
            &format!("return parseInt(document.querySelector('[data-part=countdown]').innerText) < {first}"),
        )
        .await;
    window.gone("The key is under the mat.").await;
    let shown = window.run("return window.seen.at(-1) - window.seen[0]", vec![]).await.as_f64().unwrap();
    assert!((4_000.0..6_500.0).contains(&shown), "shown for {shown} ms of 6,000");
    window.until("the place folds away", "return document.querySelector('[role=log] article') === null").await;
    // The chip has fallen back to the room's default.
    assert!(window.part("button", "Lifetime").await.text().await.unwrap().contains("1 h"));
    window.close().await;
}

#[tokio::test]
async fn a_restart_keeps_what_lives_and_shows_nothing_that_expired() {
    let (home, display, window) = lobby().await;
    window.send("stays").await;
    window.message("stays").await;
    custom_lifetime(&window, "2", "seconds").await;
    window.send("goes while the window is closed").await;
    window.message("goes while the window is closed").await;
    window.close().await;
    // The passing of a lifetime is what is tested here.
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let window = Window::open(&home, &display).await;
    window.message("stays").await;
    assert_eq!(window.messages().await, ["stays"]);
    let author = window.run("return document.querySelector('article [data-part=author]').textContent", vec![]).await;
    assert_eq!(author, json!("you"), "mine survives a restart");
    window.close().await;
}

#[tokio::test]
async fn delete_now_wants_a_second_press() {
    let (_home, _display, window) = lobby().await;
    window.send("wrong room").await;
    window.message("wrong room").await;
    window.press("button", "Message actions").await;
    window.press("menuitem", "Delete now").await;
    assert_eq!(window.messages().await, ["wrong room"]);
    window.press("menuitem", "Delete for everybody?").await;
    window.gone("wrong room").await;
    window.says("Nothing here right now.").await;
    window.close().await;
}

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    let (_home, _display, window) = lobby().await;
    for text in [
        "<img src=x onerror=\"document.title='owned'\">",
        "<script>document.title='owned'</script>",
        "{@html '<b>'} &lt;b&gt; *bold* _under_",
        "javascript:document.title='owned'",
    ] {
        window.send(text).await;
        window.message(text).await;
    }
    assert_eq!(window.client.title().await.unwrap(), "Temp Messenger");
    assert!(
        window
            .client
            .find_all(Locator::Css("[role=log] [data-part=body] :is(img, script, b, em, a)"))
            .await
            .unwrap()
            .is_empty()
    );
    window.type_into("Message", "a\u{202e}b").await;
    window.type_into("Message", &char::from(Key::Enter).to_string()).await;
    window.says("U+202E").await;
    window.close().await;
}

#[tokio::test]
async fn pasted_lines_stay_lines_and_limits_keep_the_text() {
    let (_home, _display, window) = lobby().await;
    let paste = "const box = document.querySelector('textarea'); box.focus(); \
                 document.execCommand('insertText', false, arguments[0])";
    window.run(paste, vec![json!("first line\nsecond line")]).await;
    assert!(window.messages().await.is_empty(), "pasting does not send");
    window.press("button", "Send").await;
    window.message("first line\nsecond line").await;
    window.run(paste, vec![json!("x".repeat(32 * 1024 + 1))]).await;
    window.press("button", "Send").await;
    window.says("32 KiB").await;
    let kept = window.run("return document.querySelector('textarea').value.length", vec![]).await;
    assert_eq!((kept, window.messages().await.len()), (json!(32 * 1024 + 1), 1));
    let clear = "const box = document.querySelector('textarea'); box.select(); document.execCommand('delete')";
    window.run(clear, vec![]).await;
    window.send("   ").await;
    custom_lifetime(&window, "31", "days").await;
    window.until("the range is named", "return /1 s .*30 d/.test(document.body.innerText)").await;
    assert_eq!(window.messages().await.len(), 1, "blank text is not sent");
    window.close().await;
}

#[tokio::test]
async fn a_second_start_shows_the_first_window_and_ends() {
    let (home, display, window) = lobby().await;
    let mut second = Command::new(binary("temp-messenger"));
    home.furnish(&mut second);
    let mut second = Process::start(second.env("DISPLAY", &display.name));
    let status = second.wait(Duration::from_secs(20)).expect("the second start ends by itself");
    assert_eq!(status.code(), Some(0));
    window.send("still here").await;
    window.message("still here").await;
    window.close().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_explained() {
    let (home, display) = (Home::default(), Display::start());
    std::fs::create_dir_all(home.store()).unwrap();
    std::fs::write(home.store().join("somebody elses.txt"), "not ours").unwrap();
    let window = Window::open(&home, &display).await;
    window.press("button", "Open the lobby").await;
    window.says("holds something else").await;
    assert_eq!(std::fs::read_dir(home.store()).unwrap().count(), 1, "nothing is written");
    std::fs::remove_file(home.store().join("somebody elses.txt")).unwrap();
    window.press("button", "Try again").await;
    window.send("after all").await;
    window.message("after all").await;
    window.close().await;
}

#[test]
fn without_a_display_it_says_so_in_one_line() {
    let home = Home::default();
    let mut command = Command::new(binary("temp-messenger"));
    home.furnish(&mut command);
    for display in [None, Some(""), Some(":987")] {
        command.env_remove("DISPLAY");
        if let Some(display) = display {
            command.env("DISPLAY", display);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.lines().count() == 1 && said.contains("no display"), "{said}");
    }
}

#[tokio::test]
async fn what_is_copied_leaves_the_clipboard_with_its_message() {
    let (_home, display, window) = lobby().await;
    custom_lifetime(&window, "6", "seconds").await;
    window.send("swordfish").await;
    window.message("swordfish").await;
    window.press("button", "Message actions").await;
    window.press("menuitem", "Copy").await;
    eventually("it is there", || clipboard(&display) == "swordfish").await;
    eventually("it is gone", || clipboard(&display).is_empty()).await;
    window.gone("swordfish").await;
    window.close().await;
}

#[tokio::test]
async fn a_window_leaves_nothing_of_its_webview_on_the_disk() {
    let (home, display) = (Home::default(), Display::start());
    // Without a driver, so that the webview is the incognito one that people get.
    let settings = home.path().join("config/temp-messenger/settings.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let named = json!({ "device": uuid::Uuid::new_v4(), "name": "Mei", "store": "sled:", "room": "lobby" });
    std::fs::write(&settings, named.to_string()).unwrap();
    let mut command = Command::new(binary("temp-messenger"));
    home.furnish(&mut command);
    let mut app = Process::start(command.env("DISPLAY", &display.name).env("MESA_SHADER_CACHE_DISABLE", "true"));
    // The page has opened the store: it is loaded and runs.
    eventually("the store is open", || home.store().join("mark").exists()).await;
    app.stop();
    let ours = [
        "data/temp-messenger/store",
        "data/temp-messenger/window.lock",
        "config/temp-messenger/settings.json",
        "run/temp-messenger",
    ];
    let foreign: Vec<_> =
        home.files().into_iter().filter(|file| !ours.iter().any(|ours| file.starts_with(ours))).collect();
    assert_eq!(foreign, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn rooms_are_made_and_opened_and_keep_what_is_theirs() {
    let (home, display, window) = lobby().await;
    window.send("in the lobby").await;
    window.message("in the lobby").await;
    window.type_into("Message", "half a thought").await;
    window.press("button", "New room").await;
    window.type_into("Room name", "night shift").await;
    window.press("button", "Create room").await;
    window.gone("in the lobby").await;
    window.says("Nothing here right now.").await;
    window.send("in the night").await;
    window.message("in the night").await;
    window.press("button", "lobby").await;
    window.message("in the lobby").await;
    assert_eq!(window.messages().await, ["in the lobby"]);
    let draft = window.run("return document.querySelector('textarea').value", vec![]).await;
    assert_eq!(draft, json!("half a thought"));
    window.press("button", "night shift").await;
    window.message("in the night").await;
    window.close().await;
    // The room that was open is open again.
    let window = Window::open(&home, &display).await;
    window.message("in the night").await;
    assert_eq!(window.messages().await, ["in the night"]);
    window.close().await;
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !holds() {
        assert!(waited < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += Duration::from_millis(50);
    }
}

#[tokio::test]
async fn a_link_shows_its_real_host_and_its_address_can_be_copied() {
    let (_home, display, window) = lobby().await;
    window.send("see https://bank.example@example.org/x").await;
    window.message("see https://bank.example@example.org/x").await;
    window.press("button", "https://bank.example@example.org/x").await;
    window.says("This opens in your browser:").await;
    let host = window.run("return document.querySelector('.real').textContent", vec![]).await;
    assert_eq!(host, json!("example.org"));
    window.press("button", "Copy address").await;
    eventually("it is there", || clipboard(&display) == "https://bank.example@example.org/x").await;
    window.close().await;
}

/// What another program would paste.
fn clipboard(display: &Display) -> String {
    let read = Command::new("xclip").args(["-selection", "clipboard", "-out"]).env("DISPLAY", &display.name).output();
    String::from_utf8(read.unwrap().stdout).unwrap()
}
