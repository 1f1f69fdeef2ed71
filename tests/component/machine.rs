//! The machine while it measures: who runs where, and before whom.
//!
//! On a machine with other work a sender or a server waits for a processor now and then, for milliseconds, whatever is upgraded. So the
//! sender and what it sends to get a processor each, and run before all that is ordinary. Both sides are treated alike.

use anyhow::{Result, ensure};
use std::process::{Command, Stdio};

/// The processor of the sender, where there are two.
pub(crate) const SENDER: &str = "1";
/// The processor of what is upgraded.
pub(crate) const SERVER: &str = "0";

/// Whether this user may, and the machine can, do it.
pub(crate) fn is_ours() -> bool {
    let two = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    two && nix::unistd::geteuid().is_root()
}

/// Gives a thread a processor, and lets it run before all that is ordinary; threads that it starts are ordinary again.
pub(crate) fn prefer(thread: u32, processor: &str) -> Result<()> {
    let thread = thread.to_string();
    run(&["taskset", "--cpu-list", "--pid", processor, &thread])?;
    run(&["chrt", "--fifo", "--reset-on-fork", "--pid", "5", &thread])
}

fn run(words: &[&str]) -> Result<()> {
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "{}: {status}", words.join(" "));
    Ok(())
}
