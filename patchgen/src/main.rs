//! The command `patchgen`.

#![deny(unsafe_code)]

mod command;

use clap::Parser;
use livepatch_cli::output::is_lost;
use std::process::ExitCode;

/// Tables of this size and more are given back to the system when they are freed. glibc would raise the bound to 32 MiB
/// when the first one is freed (mallopt(3)), and then keep the gaps that grown tables leave.
const LARGE: libc::c_int = 64 << 10;

/// Bytes of stack that making the tables takes, and some.
const WARM_UP: usize = 256 << 10;

#[expect(
    unsafe_code,
    reason = "the C library's allocator has no other interface"
)]
fn give_memory_back() {
    // SAFETY: it sets a number, before there is any other thread; what it returns tells of bad arguments only.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Has the decoder make its tables (millions of instructions, at its first use) on another processor, while the input is read. Without
/// that thread they are made later.
fn warm_up() {
    let warm_up = || drop(iced_x86::Decoder::new(64, &[], 0));
    let thread = std::thread::Builder::new().stack_size(WARM_UP);
    let _ = thread.spawn(warm_up);
}

fn main() -> ExitCode {
    give_memory_back();
    livepatch_cli::children::heed();
    warm_up();
    let command = command::Command::parse();
    match command::run(&command) {
        Ok(command::DONE) if is_lost() => ExitCode::from(command::ERROR),
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            command::complain(&error);
            ExitCode::from(command::ERROR)
        }
    }
}
