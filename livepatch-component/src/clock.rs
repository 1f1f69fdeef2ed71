//! Clocks, in nanoseconds.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds that this thread had a processor (CLOCK_THREAD_CPUTIME_ID). Where a hypervisor tells what it takes for others (steal time),
/// that does not count.
pub(crate) fn busy() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> u64 {
    // The clocks exist on every Linux; without them, time stands still and no deadline passes.
    let now = clock_gettime(clock).unwrap_or(nix::sys::time::TimeSpec::new(0, 0));
    let seconds = u64::try_from(now.tv_sec()).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or_default();
    seconds * 1_000_000_000 + nanos
}
