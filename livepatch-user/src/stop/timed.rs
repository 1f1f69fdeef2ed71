//! Relative timeouts of calls that are issued again.
//!
//! `epoll_wait` and `epoll_pwait` take their timeout as a number of milliseconds in `r10`. Issued again as it is, the wait
//! would begin anew; a target that is stopped again and again (while livepatch waits for a busy function) would
//! never see its timeout. So what has passed is taken off, under two conditions:
//!
//! - *The time is known.* `/proc/PID/task/TID/sched` tells when the thread last ran on its CPU's own clock. Read before the
//!   stop and after it, on the same CPU and with no run in between but the one that ended in the stop, the difference
//!   is the time asleep; that clock may leave out interrupts and stolen time, so it is never too much: a
//!   timeout is never early.
//! - *Nobody reads `r10` afterwards.* The kernel gives it back unchanged, and a program may rely on that (a loop
//!   around a bare `syscall` instruction). The code that follows must overwrite it or return before it reads it.
//!
//! Else the wait begins anew. Timeouts in memory (`epoll_pwait2`, `semtimedop`, `sigtimedwait`, `io_getevents`,
//! `recvmmsg`) always do: the memory is the program's.
//!
//! Calls that the kernel continues by `restart_syscall(2)` keep their time by themselves. Not so where a seccomp filter may kill
//! the thread for that call, which it never made itself: there the call is issued again, and begins anew.

use super::restart;
use super::unread::r10_is_unread;
use crate::memory::{Memory, Registers};
use crate::process::{Activity, Pid, Status, Tid};
use livepatch_bundle::RunAddr;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// A thread's account of its runs, from `/proc/PID/task/TID/sched`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    /// When it last ran, in nanoseconds of its CPU's clock.
    last_ran: u64,
    /// How often it changed its CPU.
    migrations: u64,
    /// How often it left a CPU.
    switches: u64,
}

impl Account {
    fn read(pid: Pid, tid: Tid) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/sched")).ok()?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            fields
                .find(|(key, _)| key.trim_end() == name)
                .map(|(_, value)| value.trim())
        };
        // Milliseconds and six digits of nanoseconds.
        let (milliseconds, nanoseconds) = field("se.exec_start")?.split_once('.')?;
        let milliseconds: u64 = milliseconds.parse().ok()?;
        let nanoseconds: u64 = nanoseconds.parse().ok()?;
        Some(Self {
            last_ran: milliseconds
                .checked_mul(1_000_000)?
                .checked_add(nanoseconds)?,
            migrations: field("se.nr_migrations")?.parse().ok()?,
            switches: field("nr_switches")?.parse().ok()?,
        })
    }

    /// The time between the last run that `self` knows and that of `later`, in nanoseconds, if nothing came between.
    fn asleep_until(self, later: Self) -> Option<u64> {
        let next = later.switches == self.switches + 1 && later.migrations == self.migrations;
        next.then(|| later.last_ran.checked_sub(self.last_ran))?
    }
}

/// The threads of a roster that wait with a timeout that needs attention.
#[derive(Debug, Default)]
pub(super) struct TimedWaits {
    /// Those whose timeout can be shortened.
    accounts: HashMap<Tid, Account>,
    /// Those that no seccomp filter can kill for `restart_syscall(2)`.
    free: HashSet<Tid>,
}

impl TimedWaits {
    /// Looks which of these threads do.
    pub(super) fn observe(pid: Pid, activities: &[(Tid, Activity)], memory: &impl Memory) -> Self {
        let mut unread = HashMap::new();
        let mut is_unread = |after: u64| {
            *unread
                .entry(after)
                .or_insert_with(|| r10_is_unread(memory, RunAddr(after)))
        };
        let waits = activities.iter().filter_map(|&(tid, now)| {
            let after = timed_wait(now)?;
            let account = Account::read(pid, tid)?;
            // The same twice: then it did not run while it was read, and what `now` says was still so.
            let still = crate::process::activity(pid, tid) == now;
            (is_unread(after) && still && Account::read(pid, tid)? == account)
                .then_some((tid, account))
        });
        let accounts = waits.collect();
        let free = activities.iter().map(|(tid, now)| (*tid, *now));
        let free = free.filter(|(tid, now)| is_continued(*now) && !is_confined(pid, *tid));
        let free = free.map(|(tid, _)| tid).collect();
        Self { accounts, free }
    }

    /// Whether the thread must issue its interrupted call again, and not continue it.
    pub(super) fn begins_anew(&self, pid: Pid, tid: Tid, registers: &Registers) -> bool {
        // One that ran when the roster was taken is looked at now.
        restart::has_restart_block(registers) && !self.free.contains(&tid) && is_confined(pid, tid)
    }

    /// The timeout that is left to a thread whose call is issued again.
    pub(super) fn left(&self, pid: Pid, tid: Tid, registers: &Registers) -> Option<u64> {
        let asleep = self
            .accounts
            .get(&tid)?
            .asleep_until(Account::read(pid, tid)?)?;
        left(registers.r10, asleep)
    }
}

/// Whether seccomp confines the thread; yes if that cannot be read.
fn is_confined(pid: Pid, tid: Tid) -> bool {
    let directory = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
    Status::read(&directory).map_or(true, |status| status.seccomp != 0)
}

/// Whether the kernel continues the call by `restart_syscall(2)` after an interruption.
fn is_continued(activity: Activity) -> bool {
    let Activity::InSyscall { number, .. } = activity else {
        return false;
    };
    matches!(
        number.cast_signed(),
        libc::SYS_nanosleep
            | libc::SYS_clock_nanosleep
            | libc::SYS_poll
            | libc::SYS_futex
            | libc::SYS_restart_syscall
    )
}

/// The address after the `syscall` instruction, of a thread that waits with a timeout in `r10`.
fn timed_wait(activity: Activity) -> Option<u64> {
    let Activity::InSyscall {
        number,
        arguments,
        instruction,
        ..
    } = activity
    else {
        return None;
    };
    let has = matches!(
        number.cast_signed(),
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait
    );
    (has && milliseconds(arguments[3])? > 0).then_some(instruction)
}

/// A timeout as the kernel reads it, an `int`; `None` for negative: without end.
fn milliseconds(r10: u64) -> Option<u64> {
    let low = r10 & u64::from(u32::MAX);
    (low <= i32::MAX.unsigned_abs().into()).then_some(low)
}

fn left(r10: u64, asleep: u64) -> Option<u64> {
    milliseconds(r10).map(|timeout| timeout.saturating_sub(asleep / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cat (29057, #threads: 1)\n---\n\
        se.exec_start                                :       2209081.492332\n\
        se.nr_migrations                             :                    3\n\
        nr_switches                                  :                   17\n";

    #[test]
    fn accounts_are_read() {
        let account = Account::parse(TEXT).expect("well-formed");
        assert_eq!(account.last_ran, 2_209_081_492_332);
        assert_eq!((account.migrations, account.switches), (3, 17));
        assert_eq!(Account::parse("se.exec_start : 1.000000"), None);
    }

    #[test]
    fn only_an_undisturbed_sleep_counts() {
        let before = Account {
            last_ran: 1_000,
            migrations: 3,
            switches: 17,
        };
        let after = Account {
            last_ran: 9_000,
            migrations: 3,
            switches: 18,
        };
        assert_eq!(before.asleep_until(after), Some(8_000));
        assert_eq!(
            before.asleep_until(Account {
                switches: 19,
                ..after
            }),
            None
        );
        assert_eq!(
            before.asleep_until(Account {
                migrations: 4,
                ..after
            }),
            None
        );
        assert_eq!(
            before.asleep_until(Account {
                last_ran: 1,
                ..after
            }),
            None
        );
    }

    #[test]
    fn timeouts_are_never_early_and_never_without_end() {
        assert_eq!(left(1000, 300_999_999), Some(700));
        assert_eq!(left(1000, 2_000_000_000), Some(0));
        assert_eq!(left(0xffff_ffff, 1), None);
        assert_eq!(left(0xffff_ffff_0000_03e8, 0), Some(1000));
    }
}
