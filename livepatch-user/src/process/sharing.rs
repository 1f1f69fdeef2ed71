//! Tasks outside the thread group that share its memory: `vfork` children, `clone(CLONE_VM)` processes.
//!
//! They run the same code, are in no list of threads, and are not stopped with them. With `kcmp(2)` every
//! process of the system is asked; tasks that start later are recognised by their numbers, since the kernel
//! hands those out in ascending order and tells the last one in `/proc/loadavg`. A kernel without `kcmp`
//! (CONFIG_KCMP) is only asked which threads wait in `vfork`.

use super::{Activity, Pid, Stat, Tid};
use crate::memory::Memory;
use crate::sys::task;
use livepatch_bundle::RunAddr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A task outside the thread group that shares its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Its process, or the waiting thread's where only that is known.
    pub pid: Pid,
    /// Its name.
    pub name: String,
}

/// A search that can be continued cheaply.
#[derive(Debug)]
pub struct SharingScan {
    target: Pid,
    load: File,
    last: i32,
}

/// More new tasks than this are searched by listing `/proc` instead.
const MANY: i32 = 4096;

impl SharingScan {
    /// Searches the whole system. `activities` says what the target's threads do, `memory` is the target's.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn start(
        target: Pid,
        activities: &[(Tid, Activity)],
        memory: &impl Memory,
    ) -> io::Result<(Self, Vec<Stranger>)> {
        let load = File::open("/proc/loadavg")?;
        let last = last_task(&load)?;
        let mut found = search_all(target)?;
        found.extend(search_vfork(activities, memory));
        Ok((Self { target, load, last }, found))
    }

    /// Searches the tasks that started since the last search.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn again(&mut self) -> io::Result<Vec<Stranger>> {
        let before = std::mem::replace(&mut self.last, last_task(&self.load)?);
        match self.last.checked_sub(before) {
            Some(0) => Ok(Vec::new()),
            Some(count @ 1..MANY) => Ok((before + 1..=before + count)
                .filter_map(|n| stranger(self.target, n))
                .collect()),
            _ => search_all(self.target),
        }
    }
}

/// The number handed out last: the fifth field of `/proc/loadavg`.
fn last_task(load: &File) -> io::Result<i32> {
    let mut buffer = [0; 128];
    let len = load.read_at(&mut buffer, 0)?;
    std::str::from_utf8(&buffer[..len])
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(4)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected `/proc/loadavg`"))
}

fn search_all(target: Pid) -> io::Result<Vec<Stranger>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        found.extend(number.and_then(|number| stranger(target, number)));
    }
    Ok(found)
}

/// The task with this number, if it shares the target's memory from outside. A task that is gone or that we may
/// not ask about is none: a `vfork` child that we may not ask about shows in its waiting parent.
fn stranger(target: Pid, number: i32) -> Option<Stranger> {
    let shares =
        number != target.0 && task::same_memory(target.leader(), Tid(number)).unwrap_or(false);
    let own = || Path::new(&format!("/proc/{target}/task/{number}")).exists();
    (shares && !own()).then(|| named(number))
}

fn named(number: i32) -> Stranger {
    let directory = PathBuf::from(format!("/proc/{number}"));
    let name = Stat::read(&directory).map_or_else(|_| "?".into(), |stat| stat.comm);
    Stranger {
        pid: Pid(number),
        name,
    }
}

/// Threads that wait for a `vfork` child.
fn search_vfork(
    activities: &[(Tid, Activity)],
    memory: &impl Memory,
) -> impl Iterator<Item = Stranger> {
    activities
        .iter()
        .filter(move |(_, now)| waits_for_child(now, memory))
        .map(|(tid, _)| named(tid.0))
}

/// Whether the thread sleeps in `vfork`, or in `clone` or `clone3` as `posix_spawn` calls them. Threads that create threads, and
/// new ones, sleep in these for other reasons.
fn waits_for_child(activity: &Activity, memory: &impl Memory) -> bool {
    let Activity::InSyscall {
        number, arguments, ..
    } = activity
    else {
        return false;
    };
    let flags = match number.cast_signed() {
        libc::SYS_vfork => return true,
        libc::SYS_clone => Some(arguments[0]),
        // The first member of `struct clone_args`.
        libc::SYS_clone3 => memory.read_u64(RunAddr(arguments[0])).ok(),
        _ => return false,
    };
    flags.is_none_or(|flags| flags & libc::CLONE_VFORK as u64 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bytes;

    #[test]
    fn only_who_asked_for_it_waits_for_a_child() {
        let vfork = libc::CLONE_VFORK as u64;
        let waits = |number: i64, first: u64, at_1000: u64| {
            let call = Activity::InSyscall {
                number: number.cast_unsigned(),
                arguments: [first, 0, 0, 0, 0, 0],
                stack: 0,
                instruction: 0,
            };
            waits_for_child(&call, &Bytes(at_1000.to_le_bytes().to_vec()))
        };
        assert!(waits(libc::SYS_vfork, 0, 0));
        assert!(waits(libc::SYS_clone, vfork, 0) && !waits(libc::SYS_clone, 0x100, 0));
        assert!(waits(libc::SYS_clone3, 0x1000, vfork | 0x100));
        assert!(!waits(libc::SYS_clone3, 0x1000, 0x100));
        assert!(waits(libc::SYS_clone3, 0x2000, 0), "it cannot be read");
        assert!(!waits(libc::SYS_read, vfork, vfork));
    }
}
