//! Waiting for something that mostly takes microseconds, without a system call that waits with a deadline for a
//! single tracee (`waitpid` has none).

use nix::sys::prctl;
use std::time::Duration;

/// One wait: looks again at once for a moment, then sleeps, ever longer. It never yields: on a busy machine that hands
/// the CPU to whoever computes most, for milliseconds, while the target stands.
pub(super) struct Patience {
    looks: u32,
    nap: Duration,
}

impl Patience {
    /// A thread on another CPU stands after a few microseconds; a look takes a fraction of one.
    const LOOKS: u32 = 40;
    const FIRST_NAP: Duration = Duration::from_micros(10);
    const LONGEST_NAP: Duration = Duration::from_millis(1);

    pub(super) fn new() -> Self {
        Self {
            looks: 0,
            nap: Self::FIRST_NAP,
        }
    }

    /// Waits a moment. Returns whether it has become long: about a millisecond.
    pub(super) fn wait(&mut self) -> bool {
        if self.looks < Self::LOOKS {
            self.looks += 1;
            std::hint::spin_loop();
            return false;
        }
        std::thread::sleep(self.nap);
        self.nap = (self.nap * 3 / 2).min(Self::LONGEST_NAP);
        self.nap > Self::LONGEST_NAP / 2
    }
}

/// While it exists, this thread's naps last as long as they say; by default the kernel adds up to 50 µs.
#[derive(Debug)]
pub(super) struct ShortNaps(Option<u32>);

impl ShortNaps {
    pub(super) fn begin() -> Self {
        let before = prctl::get_timerslack()
            .ok()
            .and_then(|slack| u32::try_from(slack).ok());
        // Without it the naps are only longer.
        prctl::set_timerslack(1).ok();
        Self(before)
    }
}

impl Drop for ShortNaps {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            // Nothing depends on it.
            prctl::set_timerslack(before.into()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_are_noticed() {
        let mut patience = Patience::new();
        let short = (0..1000).take_while(|_| !patience.wait()).count();
        assert_eq!(
            short, 49,
            "40 looks, then naps of 10 µs to half a millisecond"
        );
    }

    #[test]
    fn the_slack_is_put_back() {
        let before = prctl::get_timerslack().expect("readable");
        let naps = ShortNaps::begin();
        assert_eq!(prctl::get_timerslack(), Ok(1));
        drop(naps);
        assert_eq!(prctl::get_timerslack(), Ok(before));
    }
}
