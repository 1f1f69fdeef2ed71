//! Tasks outside the thread group that share its memory: `vfork` children, `clone(CLONE_VM)` processes.
//!
//! They run the same code, are in no list of threads, and are not stopped with them. With `kcmp(2)` every
//! process of the system is asked; tasks that start later are recognised by their numbers, since the kernel
//! hands those out in ascending order and tells the last one in `/proc/loadavg`. A kernel without `kcmp`
//! (CONFIG_KCMP) is only asked which threads wait in `vfork`.

use super::{Activity, Pid, Stat, Tid, activity, threads};
use crate::sys::task;
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
    /// Searches the whole system.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn start(target: Pid) -> io::Result<(Self, Vec<Stranger>)> {
        let load = File::open("/proc/loadavg")?;
        let last = last_task(&load)?;
        let mut found = search_all(target)?;
        found.extend(search_vfork(target));
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

/// Threads that wait for a `vfork` child: asleep in `vfork`, or in `clone`/`clone3` as `posix_spawn` does it.
fn search_vfork(target: Pid) -> Vec<Stranger> {
    let waits = |tid: &Tid| match activity(target, *tid) {
        Activity::InSyscall { number, .. } => {
            [libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3].contains(&number.cast_signed())
        }
        _ => false,
    };
    let threads = threads(target).unwrap_or_default();
    threads
        .iter()
        .filter(|tid| waits(tid))
        .map(|tid| named(tid.0))
        .collect()
}
