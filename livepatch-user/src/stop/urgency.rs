//! Going before others while threads of the target stand.
//!
//! A tracer that loses its CPU to another program leaves the target standing until it gets it back. On a busy machine that
//! is milliseconds, and we have seen minutes (Linux 6.18 with `CONFIG_SCHED_AUTOGROUP`: our thread ran 2 ms in 16 s).

use crate::sys::scheduler::Policy;

/// While it exists, the calling thread runs before every ordinary thread, if it may (`CAP_SYS_NICE`).
#[derive(Debug)]
pub(crate) struct Urgency(Option<Policy>);

impl Urgency {
    /// Begins, unless the thread has a real-time priority already.
    pub(crate) fn begin() -> Self {
        let ordinary = Policy::current()
            .ok()
            .filter(|policy| !policy.is_real_time());
        Self(ordinary.filter(|_| Policy::before_ordinary().take().is_ok()))
    }
}

impl Drop for Urgency {
    fn drop(&mut self) {
        if let Some(ordinary) = self.0 {
            // Whoever may take a real-time priority may give it back.
            ordinary.take().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_gives_the_priority_back() {
        let is_real_time = || Policy::current().expect("readable").is_real_time();
        assert!(!is_real_time());
        let outer = Urgency::begin();
        let allowed = is_real_time();
        drop(Urgency::begin());
        assert_eq!(is_real_time(), allowed, "the inner one changed nothing");
        drop(outer);
        assert!(!is_real_time());
    }
}
