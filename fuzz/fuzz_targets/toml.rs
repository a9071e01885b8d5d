//! Fuzzes `toml`: see `rollcall::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| rollcall::fuzzing::toml(text));
