//! The command `patchgen`.

#![deny(unsafe_code)]

mod command;

use clap::Parser;
use livepatch_cli::output::is_lost;
use std::process::ExitCode;

/// Tables of this size and more are given back to the system when they are freed. glibc would raise the bound to 32 MiB
/// when the first one is freed (mallopt(3)), and then keep the gaps that grown tables leave.
const LARGE: libc::c_int = 64 << 10;
/// By how much a heap begins, and that of the first thread grows. Those of other threads grow by a page at a time, with a system call for each.
const SMALL_TOGETHER: libc::c_int = 1 << 20;

#[expect(
    unsafe_code,
    reason = "the C library's allocator has no other interface"
)]
fn arrange_memory() {
    for (parameter, size) in [
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TOP_PAD, SMALL_TOGETHER),
    ] {
        // SAFETY: it sets a number, before there is any other thread; what it returns tells of bad arguments only.
        let _ = unsafe { libc::mallopt(parameter, size) };
    }
}

fn main() -> ExitCode {
    arrange_memory();
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
