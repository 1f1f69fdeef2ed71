//! Reads object files, of programs and of the kernel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchgen::object::{read, read_kernel};

fuzz_target!(|data: &[u8]| {
    let _ = read(data);
    let _ = read_kernel(data);
});
