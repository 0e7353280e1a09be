//! The window's commands, named as the operations are: each is one call. What they do is in the core, and in
//! `shell` where only a desktop can do it.

use tauri::{State, Wry, ipc::Channel, plugin::TauriPlugin};
use temp_messenger_core::{
    api::{ClaimMessage, Konnichiwa, Show, Subscribe, SubscriptionId},
    error::Result,
    event::Batch,
    message::{MessageId, SaveMessage, Stamp},
    room::{PutRoom, Room, RoomName},
    session::{Session, Status},
    settings::{Configure, Connect},
};

use crate::{
    events::Outlet,
    shell::{browser, clipboard::Clipboard},
};

/// All of them, as the plugin `messenger` that `build.rs` declares.
pub(crate) fn plugin() -> TauriPlugin<Wry> {
    tauri::plugin::Builder::new("messenger")
        .invoke_handler(tauri::generate_handler![
            save_message,
            delete_message,
            claim_message,
            konnichiwa,
            status,
            configure,
            test_connection,
            connect,
            events,
            acknowledge,
            show,
            hide,
            put_room,
            copy_message,
            open_link,
            start_empty,
            show_folder,
        ])
        .build()
}

#[tauri::command]
async fn save_message(session: State<'_, Session>, request: SaveMessage) -> Result<Stamp> {
    session.api().await?.save_message(request).await
}

#[tauri::command]
async fn delete_message(session: State<'_, Session>, id: MessageId) -> Result<()> {
    session.api().await?.delete_message(id).await
}

#[tauri::command]
async fn claim_message(session: State<'_, Session>, request: ClaimMessage) -> Result<String> {
    session.api().await?.claim_message(request).await
}

#[tauri::command]
async fn konnichiwa(session: State<'_, Session>) -> Result<Konnichiwa> {
    session.api().await?.konnichiwa().await
}

#[tauri::command]
async fn status(session: State<'_, Session>) -> Result<Status> {
    Ok(session.status().await)
}

#[tauri::command]
async fn configure(session: State<'_, Session>, change: Configure) -> Result<Status> {
    session.configure(change).await
}

#[tauri::command]
async fn test_connection(session: State<'_, Session>, request: Connect) -> Result<Konnichiwa> {
    session.test(request).await
}

#[tauri::command]
async fn connect(session: State<'_, Session>, outlet: State<'_, Outlet>, request: Connect) -> Result<Status> {
    session.connect(request, || outlet.close()).await
}

#[tauri::command]
async fn events(
    session: State<'_, Session>,
    outlet: State<'_, Outlet>,
    rooms: Vec<RoomName>,
    channel: Channel<Batch>,
) -> Result<SubscriptionId> {
    let subscription = session.api().await?.events(Subscribe { rooms, expiry: false }).await?;
    Ok(outlet.forward(subscription, channel))
}

#[tauri::command]
fn acknowledge(outlet: State<'_, Outlet>, subscription: SubscriptionId, number: u64) {
    outlet.acknowledge(subscription, number);
}

#[tauri::command]
async fn show(
    session: State<'_, Session>,
    subscription: SubscriptionId,
    room: RoomName,
    before: Option<u64>,
) -> Result<()> {
    session.api().await?.show(Show { subscription, room, before }).await
}

#[tauri::command]
async fn hide(session: State<'_, Session>, subscription: SubscriptionId, room: RoomName) -> Result<()> {
    session.api().await?.hide(subscription, room).await
}

#[tauri::command]
async fn put_room(session: State<'_, Session>, request: PutRoom) -> Result<Room> {
    session.api().await?.put_room(request).await
}

#[tauri::command]
async fn copy_message(
    session: State<'_, Session>,
    clipboard: State<'_, Clipboard>,
    id: MessageId,
    link: Option<String>,
) -> Result<()> {
    clipboard.copy(session.api().await?.get_message(id).await?, link).await
}

#[tauri::command(async)]
fn open_link(url: String) -> Result<()> {
    browser::open_link(&url)
}

#[tauri::command]
async fn start_empty(session: State<'_, Session>, outlet: State<'_, Outlet>) -> Result<()> {
    outlet.close();
    session.start_empty().await
}

#[tauri::command(async)]
fn show_folder(session: State<'_, Session>) -> Result<()> {
    browser::show_folder(&session.address())
}
