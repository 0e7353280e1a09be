//! Checks that the ui is built and declares the window's commands as an inlined plugin.

fn main() {
    println!("cargo:rerun-if-changed=ui/dist/index.html");
    if !std::path::Path::new("ui/dist/index.html").exists() {
        println!("cargo:error=ui/dist is missing: run `make ui` first (npm ci and vite build)");
        return;
    }
    tauri_build::build();
}
