//! The window beside a bare Tauri window: how soon it can be used, and what it costs when nothing happens.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool")]

use std::{fs, sync::Arc, time::Duration};

use futures_util::future::join_all;
use temp_messenger_core::{
    api::Api,
    clock::{Clock, Stopwatch, SystemClock},
    message::SaveMessage,
    messenger::Messenger,
    room::RoomName,
    settings::{Configure, SettingsFile},
    store::sled::SledStore,
};
use temp_messenger_tests::{
    home::Home,
    window::{Display, Window},
};

const STARTS: usize = 5;
const MANY: usize = 100_000;
/// How long an idle window is watched.
const IDLE: Duration = Duration::from_secs(20);

/// A home whose first start is over, with this many messages alive.
async fn home(live: usize) -> Home {
    let home = Home::default();
    let path = home.path().join("config/temp-messenger");
    fs::create_dir_all(&path).unwrap();
    let settings = SettingsFile::load_from(&path.join("settings.json")).unwrap();
    settings.configure(Configure { name: Some("Mei".to_owned()), room: None }).unwrap();
    let store = Arc::new(SledStore::open(&home.store(), Arc::new(SystemClock)).await.unwrap());
    let messenger = Messenger::new(store, settings, Arc::new(SystemClock));
    let request = |n: usize| SaveMessage {
        id: None,
        room: RoomName::lobby(),
        message: format!("message {n}"),
        lifetime: "1d".parse().ok(),
        once: false,
    };
    for start in (0..live).step_by(512) {
        let saves = (start..live.min(start + 512)).map(|n| messenger.save_message(request(n)));
        assert!(join_all(saves).await.iter().all(Result::is_ok));
    }
    home
}

/// From the start of the process until the window can be used, in ms; the best of some starts.
async fn start(display: &Display, home: &Home, program: &str, usable: &str) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..STARTS {
        let watch = Stopwatch::start();
        let window = Window::open_program(home, display, program, &[]).await;
        window.until("it can be used", usable).await;
        best = best.min(watch.millis());
        window.close().await;
    }
    best
}

/// Processor time of everything that runs in this home, in clock ticks.
fn ticks(home: &Home) -> u64 {
    let mut sum = 0;
    for process in home.processes() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        sum += fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    }
    sum
}

/// What a window costs in which nothing happens, in percent of a core.
async fn idle(display: &Display, home: &Home, program: &str, usable: &str, before: &str) -> f64 {
    let window = Window::open_program(home, display, program, &[]).await;
    window.until("it can be used", usable).await;
    window.run(before, vec![]).await;
    // What a start leaves to do is over.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, from) = (ticks(home), SystemClock.boot());
    tokio::time::sleep(IDLE).await;
    let (used, passed) = (ticks(home) - before, SystemClock.boot() - from);
    window.close().await;
    used as f64 / rustix::param::clock_ticks_per_second() as f64 * 100_000.0 / passed as f64
}

#[tokio::main]
async fn main() {
    let display = Display::start();
    let bare = start(&display, &Home::default(), "bare-window", "return document.body !== null").await;
    let usable = "return document.querySelector('textarea[aria-label=Message]') !== null";
    let empty = start(&display, &home(0).await, "temp-messenger", usable).await;
    let many = home(MANY).await;
    let shown = "return document.querySelectorAll('article').length >= 50";
    let full = start(&display, &many, "temp-messenger", shown).await;
    println!(
        "start to usable, with the driver's own time: bare {bare:.0} ms, empty {empty:.0} ms ({:.2}), 100,000 live {full:.0} ms ({:.2})",
        empty / bare,
        full / bare
    );
    let calm = idle(&display, &many, "temp-messenger", shown, "document.activeElement.blur()").await;
    let caret = idle(&display, &many, "temp-messenger", shown, "").await;
    let write = "document.body.append(document.createElement('textarea')); document.querySelector('textarea').focus()";
    let bare = idle(&display, &Home::default(), "bare-window", "return document.body !== null", write).await;
    println!(
        "idle window with 100,000 live: {calm:.2} % of a core (under 1); with a blinking caret {caret:.2} %, a bare window's {bare:.2} %"
    );
}
