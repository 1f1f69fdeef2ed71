//! Memory for the arguments of remote calls: a mapping of its own, gone when the thread is given back.

use super::{Borrowed, RemoteError};
use livepatch_bundle::RunAddr;

/// One mapping, filled from its start.
#[derive(Debug)]
pub(super) struct Scratch {
    start: RunAddr,
    len: u64,
    used: u64,
}

const PAGE: u64 = 4096;

/// The name of the memory files that stacks are mapped from.
pub const SCRATCH_NAME: &str = "livepatch-scratch";
/// `MFD_NOEXEC_SEAL`, Linux 6.3: the file is never executed; older kernels refuse it.
const NO_EXECUTION: u64 = 0x8;
/// `PROT_*` and `MAP_*` as system calls take them.
const READ_WRITE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
const PRIVATE: u64 = libc::MAP_PRIVATE as u64;
const ANONYMOUS: u64 = libc::MAP_ANONYMOUS as u64;
const NO_RESERVE: u64 = libc::MAP_NORESERVE as u64;

impl Scratch {
    /// The next 16-byte aligned place with room for `len` bytes.
    fn take(&mut self, len: u64) -> Option<RunAddr> {
        let end = self.used.checked_add(len)?;
        if end > self.len {
            return None;
        }
        let address = RunAddr(self.start.0 + self.used);
        self.used = end.next_multiple_of(16);
        Some(address)
    }
}

impl Borrowed<'_> {
    /// Puts `bytes` into the target's memory, for as long as the thread is borrowed.
    ///
    /// # Errors
    /// When the target can map no more memory, or the bytes cannot be written.
    pub fn scratch(&mut self, bytes: &[u8]) -> Result<RunAddr, RemoteError> {
        let len = bytes.len() as u64;
        let on_stack = self.way.as_mut().and_then(|way| way.take(len));
        let mut mapped = self.scratch.last_mut();
        let address = match on_stack.or_else(|| mapped.as_mut()?.take(len)) {
            Some(address) => address,
            None => self.more_scratch(len)?,
        };
        self.write_scratch(address, bytes)?;
        Ok(address)
    }

    /// Writes into what [`Borrowed::scratch`] gave.
    pub(super) fn write_scratch(&self, address: RunAddr, bytes: &[u8]) -> Result<(), RemoteError> {
        let (pid, tid) = (self.pid(), self.tid());
        let written = self.memory.write_forced(address, bytes, Some(tid));
        written
            .map(drop)
            .map_err(|source| RemoteError::Scratch { pid, source })
    }

    /// A new mapping, with `wanted` bytes at its start taken.
    fn more_scratch(&mut self, wanted: u64) -> Result<RunAddr, RemoteError> {
        let len = wanted.max(1).next_multiple_of(PAGE);
        let arguments = [0, len, READ_WRITE, PRIVATE | ANONYMOUS, u64::MAX, 0];
        let start = self.syscall(libc::SYS_mmap, arguments)?;
        self.scratch.push(Scratch {
            start: RunAddr(start),
            len,
            used: wanted.next_multiple_of(16),
        });
        Ok(RunAddr(start))
    }

    /// A stack of `len` bytes with a page below it that nobody may touch: its end, a multiple of 16. It is mapped from a file
    /// whose name tells whoever finds it after our death what it is.
    pub(super) fn stack(&mut self, len: u64) -> Result<RunAddr, RemoteError> {
        let whole = len.next_multiple_of(PAGE) + PAGE;
        let name = self.scratch(format!("{SCRATCH_NAME}\0").as_bytes())?;
        let file = self.memory_file(name)?;
        let mapped = self.map_stack(file, whole);
        let closed = self.syscall(libc::SYS_close, [file, 0, 0, 0, 0, 0]);
        let start = mapped?;
        closed?;
        let arguments = [start + PAGE, whole - PAGE, READ_WRITE, 0, 0, 0];
        self.syscall(libc::SYS_mprotect, arguments)?;
        Ok(RunAddr(start + whole))
    }

    fn map_stack(&mut self, file: u64, len: u64) -> Result<u64, RemoteError> {
        self.syscall(libc::SYS_ftruncate, [file, len, 0, 0, 0, 0])?;
        let arguments = [0, len, 0, PRIVATE | NO_RESERVE, file, 0];
        let start = self.syscall(libc::SYS_mmap, arguments)?;
        self.scratch.push(Scratch {
            start: RunAddr(start),
            len,
            used: len,
        });
        Ok(start)
    }

    fn memory_file(&mut self, name: RunAddr) -> Result<u64, RemoteError> {
        let flags = u64::from(libc::MFD_CLOEXEC);
        let mut attempt = |flags| self.syscall(libc::SYS_memfd_create, [name.0, flags, 0, 0, 0, 0]);
        match attempt(flags | NO_EXECUTION) {
            Err(error) if error.errno() == Some(libc::EINVAL) => attempt(flags),
            result => result,
        }
    }

    /// Unmaps all of it; the first failure is reported, the rest is unmapped all the same.
    pub(super) fn free_scratch(&mut self) -> Result<(), RemoteError> {
        let mut result = Ok(());
        for scratch in std::mem::take(&mut self.scratch) {
            let arguments = [scratch.start.0, scratch.len, 0, 0, 0, 0];
            result = result.and(self.syscall(libc::SYS_munmap, arguments).map(drop));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_aligned_and_bounded() {
        let mut scratch = Scratch {
            start: RunAddr(0x1000),
            len: 40,
            used: 0,
        };
        assert_eq!(scratch.take(3), Some(RunAddr(0x1000)));
        assert_eq!(scratch.take(24), Some(RunAddr(0x1010)));
        assert_eq!(scratch.take(24), None);
        assert_eq!(scratch.take(u64::MAX), None);
    }
}
