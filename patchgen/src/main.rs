//! The command `patchgen`.

#![deny(unsafe_code)]

mod command;

use clap::Parser;
use livepatch_cli::output::is_lost;
use std::process::ExitCode;

/// Tables of this size and more are given back to the system when they are freed. glibc would raise the bound to 32 MiB
/// when the first one is freed (mallopt(3)), and then keep the gaps that grown tables leave.
const LARGE: libc::c_int = 64 << 10;

#[expect(
    unsafe_code,
    reason = "the C library's allocator has no other interface"
)]
fn give_memory_back() {
    // SAFETY: it sets a number, before there is any other thread; what it returns tells of bad arguments only.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

fn main() -> ExitCode {
    give_memory_back();
    livepatch_cli::children::heed();
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
