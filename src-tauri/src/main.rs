//! The desktop window's binary.

fn main() {}
