//! What Tauri wants of a package with a window.

fn main() {
    tauri_build::build();
}
