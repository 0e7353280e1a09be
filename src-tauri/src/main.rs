//! The desktop window's binary.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() -> std::process::ExitCode {
    temp_messenger_lib::run()
}
