#![no_main]

#[global_allocator]
static MEMORY: thisbut_fuzz::Bounded = thisbut_fuzz::Bounded;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thisbut_fuzz::configuration(bytes));
