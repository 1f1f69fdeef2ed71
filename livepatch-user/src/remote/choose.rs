//! Which thread to borrow.

use crate::process::{Activity, Tid};

/// How little a thread minds being borrowed; the first is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Asleep in a call that is simply issued again.
    Asleep,
    /// Asleep in a call that puts a signal mask of its own in place.
    OwnMask,
    /// Asleep in a call that goes on by `restart_syscall`.
    RestartBlock,
    /// Not in a system call, or unknown.
    Running,
}

/// The threads that may be borrowed, best first. Threads in `vfork` do not stop.
pub(super) fn candidates(activities: &[(Tid, Activity)]) -> Vec<Tid> {
    let mut ranked: Vec<_> = activities
        .iter()
        .filter_map(|&(tid, now)| Some((rank(now)?, tid)))
        .collect();
    ranked.sort_by_key(|&(rank, _)| rank);
    ranked.into_iter().map(|(_, tid)| tid).collect()
}

fn rank(activity: Activity) -> Option<Rank> {
    let Activity::InSyscall {
        number, arguments, ..
    } = activity
    else {
        return Some(Rank::Running);
    };
    match number.cast_signed() {
        libc::SYS_vfork | libc::SYS_clone | libc::SYS_clone3 => None,
        libc::SYS_nanosleep
        | libc::SYS_clock_nanosleep
        | libc::SYS_poll
        | libc::SYS_restart_syscall => Some(Rank::RestartBlock),
        // With a timeout (fourth argument) it goes on by `restart_syscall`.
        libc::SYS_futex if arguments[3] != 0 => Some(Rank::RestartBlock),
        number if has_own_mask(number) => Some(Rank::OwnMask),
        _ => Some(Rank::Asleep),
    }
}

/// Whether a system call puts a signal mask in place while it waits.
pub(super) fn has_own_mask(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_ppoll
            | libc::SYS_pselect6
            | libc::SYS_rt_sigsuspend
            | libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | IO_PGETEVENTS
            | libc::SYS_io_uring_enter
    )
}

/// `io_pgetevents`, which the `libc` crate does not know on x86-64.
const IO_PGETEVENTS: i64 = 333;

#[cfg(test)]
mod tests {
    use super::*;

    fn asleep(number: i64, timeout: u64) -> Activity {
        let number = number.cast_unsigned();
        let arguments = [0, 0, 0, timeout, 0, 0];
        Activity::InSyscall {
            number,
            arguments,
            stack: 0,
            instruction: 0,
        }
    }

    #[test]
    fn the_best_thread_comes_first() {
        let activities = [
            (Tid(1), Activity::Running),
            (Tid(2), asleep(libc::SYS_nanosleep, 0)),
            (Tid(3), asleep(libc::SYS_vfork, 0)),
            (Tid(4), asleep(libc::SYS_ppoll, 0)),
            (Tid(5), asleep(libc::SYS_futex, 0)),
            (Tid(6), asleep(libc::SYS_futex, 0x7000)),
        ];
        let order: Vec<_> = candidates(&activities).iter().map(|tid| tid.0).collect();
        assert_eq!(order, [5, 4, 2, 6, 1]);
    }
}
