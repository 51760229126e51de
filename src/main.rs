//! The `auren` binary.

fn main() {}
