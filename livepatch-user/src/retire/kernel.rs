//! Pointers into a patch that the kernel keeps for the process.
//!
//! - the data of epoll events (`epoll_ctl(2)`), in `/proc/PID/fdinfo`;
//! - the values of POSIX timers (`timer_create(2)`), in `/proc/PID/timers` (`CONFIG_CHECKPOINT_RESTORE`);
//! - signal handlers (`rt_sigaction(2)`), which only the process itself is told.
//!
//! What requests under way (io_uring, `io_submit(2)`) and queued signals (`sigqueue(3)`) carry nobody is told: a process that may have
//! such is not searched to the end.
//!
//! They are looked at after the stop: what the kernel kept then it keeps still, and new ones can only come from a
//! pointer that the rest of the search finds.

use super::needles::Needles;
use super::tracking::RemoteSyscall;
use super::{Holder, Incomplete, Place};
use crate::memory::Memory;
use crate::process::{Backing, Mapping, Pid, ProcessMemory, Status, read_text};
use livepatch_bundle::RunAddr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What `/proc` tells.
pub(super) fn visible(
    pid: Pid,
    maps: &[Mapping],
    needles: &Needles,
) -> Result<Vec<Holder>, Incomplete> {
    let directory = format!("/proc/{pid}");
    let failed = |what| move |source| Incomplete::Proc { what, source };
    let descriptors = descriptors(directory.as_ref()).map_err(failed("descriptors"))?;
    hidden(directory.as_ref(), maps, &descriptors)?;
    let mut holders = Vec::new();
    let mut check = |what: &str, values: Vec<u64>| {
        let inside = values.into_iter().filter(|&value| needles.covers(value));
        holders.extend(inside.map(|value| Holder {
            place: Place::Kernel { what: what.into() },
            value: RunAddr(value),
        }));
    };
    let epolls = descriptors.iter();
    for (number, _) in epolls.filter(|(_, link)| link.as_os_str() == "anon_inode:[eventpoll]") {
        let text = unless_missing(fs::read_to_string(format!("{directory}/fdinfo/{number}")));
        let text = text.map_err(failed("descriptors"))?;
        check(
            &format!("an event of epoll descriptor {number}"),
            events(&text),
        );
    }
    let timers = fs::read_to_string(format!("{directory}/timers")).map_err(failed("timers"))?;
    check("a timer", timer_values(&timers));
    Ok(holders)
}

/// Refuses a process for which the kernel keeps what it tells nobody.
fn hidden(
    directory: &Path,
    maps: &[Mapping],
    descriptors: &[(String, PathBuf)],
) -> Result<(), Incomplete> {
    let failed = |what| move |source| Incomplete::Proc { what, source };
    let mut links = descriptors.iter().map(|(_, link)| link.as_os_str());
    if links.any(|link| link == "anon_inode:[io_uring]") {
        return Err(Incomplete::Hidden("an io_uring"));
    }
    let is_ring = |mapping: &Mapping| matches!(&mapping.backing, Backing::File { path, .. } if path.as_os_str() == "/[aio]");
    if maps.iter().any(is_ring) {
        return Err(Incomplete::Hidden(
            "asynchronous input and output (`io_setup`)",
        ));
    }
    for task in fs::read_dir(directory.join("task")).map_err(failed("threads"))? {
        let task = task.map_err(failed("threads"))?.path();
        // A thread that has ended has no signals.
        if Status::read(&task).is_ok_and(|status| status.pending != 0) {
            return Err(Incomplete::Hidden("a signal that waits"));
        }
    }
    Ok(())
}

/// The process's signal handlers, and what they return to. `scratch` is 32 bytes of the process that may be
/// overwritten.
pub(super) fn handlers(
    memory: &ProcessMemory,
    remote: &mut dyn RemoteSyscall,
    scratch: RunAddr,
    needles: &Needles,
) -> Result<Vec<Holder>, Incomplete> {
    let failed = |source| Incomplete::Proc {
        what: "signal handlers",
        source,
    };
    let status = read_text(format!("/proc/{}/status", memory.pid())).map_err(failed)?;
    let mut holders = Vec::new();
    for signal in caught(&status).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))? {
        let arguments = [signal, 0, scratch.0, size_of::<u64>() as u64, 0, 0];
        remote
            .syscall(libc::SYS_rt_sigaction, arguments)
            .map_err(failed)?;
        // struct kernel_sigaction { handler, flags, restorer, mask }
        for offset in [0, 16] {
            let word = memory.read_u64(scratch.offset(offset));
            let value = word.map_err(|unreadable| failed(io::Error::other(unreadable)))?;
            if needles.covers(value) {
                let what = format!("the handler of signal {signal}");
                let (place, value) = (Place::Kernel { what }, RunAddr(value));
                holders.push(Holder { place, value });
            }
        }
    }
    Ok(holders)
}

/// The numbers of the descriptors, and where they lead. One that is closed meanwhile is no error.
fn descriptors(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut descriptors = Vec::new();
    for entry in fs::read_dir(directory.join("fd"))? {
        let entry = entry?;
        let number = entry.file_name().to_string_lossy().into_owned();
        descriptors.extend(fs::read_link(entry.path()).map(|link| (number, link)));
    }
    Ok(descriptors)
}

/// An empty text for a file that does not exist.
fn unless_missing(text: io::Result<String>) -> io::Result<String> {
    text.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(String::new()),
        _ => Err(error),
    })
}

/// `tfd:        5 events:       19 data:     7f0123456789  pos:0 ino:61af sdev:7`
fn events(fdinfo: &str) -> Vec<u64> {
    fdinfo
        .lines()
        .filter(|line| line.starts_with("tfd:"))
        .filter_map(|line| hex(line.split_once("data:")?.1))
        .collect()
}

/// `signal: 60/00007fff86e452a8`
fn timer_values(timers: &str) -> Vec<u64> {
    timers
        .lines()
        .filter_map(|line| hex(line.strip_prefix("signal:")?.split_once('/')?.1))
        .collect()
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.split_ascii_whitespace().next()?, 16).ok()
}

/// The signals that have handlers: `SigCgt: 0000000180014a07`, bit 0 for signal 1.
fn caught(status: &str) -> Option<Vec<u64>> {
    let mask = hex(status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?)?;
    Some(
        (1..=64)
            .filter(|signal| mask >> (signal - 1) & 1 != 0)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        let fdinfo = "pos:\t0\nflags:\t02\nmnt_id:\t15\n\
            tfd:        5 events:       19 data:     7f0123456789  pos:0 ino:61af sdev:7\n\
            tfd:        6 events:       19 data:                7  pos:0 ino:61af sdev:7\n";
        assert_eq!(events(fdinfo), [0x7f01_2345_6789, 7]);
        let timers = "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n";
        assert_eq!(timer_values(timers), [0x7fff_86e4_52a8]);
        let status = "SigIgn:\t0000000000001000\nSigCgt:\t8000000000000401\n";
        assert_eq!(caught(status), Some(vec![1, 11, 64]));
        assert_eq!(caught(""), None);
    }
}
