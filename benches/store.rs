//! Ratios of the stores.
fn main() {}
