//! Children of a command.

/// Undoes that whoever started the command ignores `SIGCHLD`, which `execve(2)` keeps: the kernel would reap our children before we know how they
/// ended (wait(2), notes). To be called first.
#[expect(unsafe_code, reason = "the C library has no other interface")]
pub fn heed() {
    // SAFETY: the default action is set, no handler; it fails for a bad number only.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}
