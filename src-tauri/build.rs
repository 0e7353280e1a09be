//! Checks that the ui is built, and declares the window's commands as an inlined plugin, so that each needs a permission
//! and the permissions' files go to the build folder instead of the repository's root.

/// The commands of `src/commands.rs`.
const COMMANDS: &[&str] = &[
    "save_message",
    "delete_message",
    "claim_message",
    "konnichiwa",
    "status",
    "configure",
    "test_connection",
    "connect",
    "events",
    "acknowledge",
    "show",
    "hide",
    "put_room",
    "copy_message",
    "open_link",
    "start_empty",
    "show_folder",
];

fn main() {
    println!("cargo:rerun-if-changed=ui/dist/index.html");
    if !std::path::Path::new("ui/dist/index.html").exists() {
        println!("cargo::error=ui/dist is missing: `make ui` builds it");
        return;
    }
    let rule = tauri_build::DefaultPermissionRule::AllowAllCommands;
    let plugin = tauri_build::InlinedPlugin::new().commands(COMMANDS).default_permission(rule);
    if let Err(error) = tauri_build::try_build(tauri_build::Attributes::new().plugin("messenger", plugin)) {
        println!("cargo::error={error:#}");
    }
}
