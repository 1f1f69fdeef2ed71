//! Writing where the process itself may not: its code.
//!
//! A write through `/proc/PID/mem` or `PTRACE_POKEDATA` gives a private read-execute page a private copy and
//! leaves its protection alone (`FOLL_FORCE`). Linux 6.12 and later can forbid the first way
//! (`proc_mem.force_override=ptrace|never`); the second needs a stopped thread.

use super::{ProcessMemory, Tid};
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::io;
use std::os::unix::fs::FileExt;
use thiserror::Error;

/// How bytes were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Through `/proc/PID/mem`.
    Directly,
    /// Word by word through a stopped thread.
    ThroughThread,
}

/// Why bytes could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The kernel refused, and no stopped thread was at hand to try the other way.
    #[error("cannot write {len} bytes at {address} through `/proc/PID/mem` ({written} written)")]
    Refused {
        /// First byte of the request.
        address: RunAddr,
        /// Length of the request in bytes.
        len: usize,
        /// How many of them were written.
        written: usize,
        /// Why.
        source: io::Error,
    },
    /// Both ways were refused.
    #[error(
        "cannot write {len} bytes at {address} through `/proc/PID/mem` ({refused}) nor through thread {tid} \
         ({written} written)"
    )]
    RefusedTwice {
        /// First byte of the request.
        address: RunAddr,
        /// Length of the request in bytes.
        len: usize,
        /// How many of them were written.
        written: usize,
        /// The stopped thread.
        tid: Tid,
        /// Why the first way failed.
        refused: io::Error,
        /// Why the second way failed.
        source: io::Error,
    },
}

impl ProcessMemory {
    /// Writes `bytes` whatever the protection of the pages, by one system call where the kernel allows.
    /// `stopped` is a thread that is in a ptrace-stop of ours, for kernels that do not.
    ///
    /// # Errors
    /// When not all bytes could be written; says how many were.
    pub fn write_forced(
        &self,
        address: RunAddr,
        bytes: &[u8],
        stopped: Option<Tid>,
    ) -> Result<Written, WriteError> {
        let len = bytes.len();
        let (written, refused) = match self.write_file(address, bytes) {
            Ok(()) => return Ok(Written::Directly),
            Err(partial) => partial,
        };
        // The thread may have another address space by now.
        let gone = refused.kind() == io::ErrorKind::WriteZero;
        let Some(tid) = stopped.filter(|_| !gone) else {
            return Err(WriteError::Refused {
                address,
                len,
                written,
                source: refused,
            });
        };
        match poke(tid, address, bytes) {
            Ok(()) => Ok(Written::ThroughThread),
            Err((poked, source)) => {
                let written = written.max(poked);
                Err(WriteError::RefusedTwice {
                    address,
                    len,
                    written,
                    tid,
                    refused,
                    source,
                })
            }
        }
    }

    /// Writes through `/proc/PID/mem`; on failure, how much was written and why no more.
    fn write_file(&self, address: RunAddr, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            let at = address.0.wrapping_add(written as u64);
            match self.file().write_at(&bytes[written..], at) {
                Ok(0) => {
                    let gone =
                        io::Error::new(io::ErrorKind::WriteZero, "the address space is gone");
                    return Err((written, gone));
                }
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

/// Writes word by word. Words are aligned, so that none reaches into a page that `bytes` does not touch.
fn poke(tid: Tid, address: RunAddr, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        let at = address.0.wrapping_add(written as u64);
        let skip = usize::try_from(at % 8).expect("a remainder of 8 is small");
        let count = (8 - skip).min(bytes.len() - written);
        let part = &bytes[written..written + count];
        poke_within(tid, at - at % 8, skip, part).map_err(|error| (written, error))?;
        written += count;
    }
    Ok(())
}

/// Replaces the bytes from `skip` on in the word at `address`.
fn poke_within(tid: Tid, address: u64, skip: usize, part: &[u8]) -> io::Result<()> {
    let mut word = if part.len() == 8 {
        [0; 8]
    } else {
        ptrace::peek(tid, address)?.to_le_bytes()
    };
    word[skip..skip + part.len()].copy_from_slice(part);
    ptrace::poke(tid, address, u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::process::{Activity, Backing, Pid, activity, examine, maps};
    use crate::stop::Lone;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    /// A child that is killed when dropped.
    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            // Fails only if it has ended already.
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    /// A sleeping child and its first executable mapping of a file.
    fn sleeper() -> (Sleeper, ProcessMemory, RunAddr) {
        let child = Sleeper(Command::new("sleep").arg("1000").spawn().expect("starts"));
        let pid = Pid(child.0.id().cast_signed());
        while !matches!(
            activity(pid, pid.leader()),
            Activity::InSyscall { number, .. } if number.cast_signed() == libc::SYS_clock_nanosleep
        ) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let target = examine(pid).expect("a target");
        let memory = ProcessMemory::open(&target).expect("opens");
        let maps = maps(pid).expect("readable");
        let code = maps.iter().find(|mapping| {
            mapping.execute && !mapping.write && matches!(mapping.backing, Backing::File { .. })
        });
        let address = code.expect("code is mapped").start;
        (child, memory, address)
    }

    /// Writes at every alignment and length, and sees that nothing else changes.
    fn changes_exactly(
        memory: &ProcessMemory,
        base: RunAddr,
        write: impl Fn(RunAddr, &[u8]) -> bool,
    ) {
        let before = memory.read_vec(base, 64).expect("readable");
        for start in 0..10 {
            for len in 0..24 {
                let bytes = &[0xcc; 24][..len];
                assert!(write(base.offset(16 + start), bytes), "{start} {len}");
                let mut expected = before.clone();
                let from = 16 + usize::try_from(start).expect("small");
                expected[from..from + len].copy_from_slice(bytes);
                assert_eq!(memory.read_vec(base, 64), Ok(expected), "{start} {len}");
                assert!(write(base, &before));
            }
        }
    }

    #[test]
    fn code_is_written_directly() {
        let (_child, memory, code) = sleeper();
        changes_exactly(&memory, code, |address, bytes| {
            memory
                .write_forced(address, bytes, None)
                .is_ok_and(|way| way == Written::Directly)
        });
    }

    #[test]
    fn code_is_written_through_a_thread() {
        let (_child, memory, code) = sleeper();
        let (pid, deadline) = (memory.pid(), Instant::now() + Duration::from_secs(5));
        let lone = Lone::stop(&memory, pid.leader(), 0, deadline)
            .expect("stops")
            .expect("lives");
        changes_exactly(&memory, code, |address, bytes| {
            poke(lone.thread.tid, address, bytes).is_ok()
        });
    }

    #[test]
    fn what_is_not_mapped_is_not_written() {
        let (_child, memory, _) = sleeper();
        let error = memory
            .write_forced(RunAddr(0x1000), &[0; 5], None)
            .expect_err("unmapped");
        assert!(
            matches!(error, WriteError::Refused { written: 0, .. }),
            "{error}"
        );
        let (pid, deadline) = (memory.pid(), Instant::now() + Duration::from_secs(5));
        let lone = Lone::stop(&memory, pid.leader(), 0, deadline)
            .expect("stops")
            .expect("lives");
        let error = memory
            .write_forced(RunAddr(0x1000), &[0; 5], Some(lone.thread.tid))
            .expect_err("unmapped");
        assert!(
            matches!(error, WriteError::RefusedTwice { written: 0, .. }),
            "{error}"
        );
    }
}
