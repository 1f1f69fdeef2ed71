//! Reading another process's memory.

use super::{Pid, Target};
use crate::memory::{Memory, Unreadable};
use crate::sys::vm;
use livepatch_bundle::RunAddr;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

/// A range for [`ProcessMemory::read_bulk`].
#[derive(Debug)]
pub struct Range<'a> {
    /// First byte in the process.
    pub address: RunAddr,
    /// Where the bytes go.
    pub buffer: &'a mut [u8],
    /// How many bytes were read; the rest of the buffer is unspecified.
    pub filled: usize,
}

impl<'a> Range<'a> {
    /// A range that has not been read yet.
    #[must_use]
    pub fn new(address: RunAddr, buffer: &'a mut [u8]) -> Self {
        Self {
            address,
            buffer,
            filled: 0,
        }
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.filled == self.buffer.len()
    }
}

/// The memory of a process.
///
/// Reads go through `process_vm_readv` and, where that refuses (ranges that the process itself may not read),
/// through `/proc/PID/mem`, which stays with the address space that it was opened on: after an `execve` it
/// reads nothing, see [`ProcessMemory::is_current`].
#[derive(Debug)]
pub struct ProcessMemory {
    pid: Pid,
    file: File,
}

impl ProcessMemory {
    /// Opens the memory of a process for reading and forced writing.
    ///
    /// # Errors
    /// When `/proc/PID/mem` cannot be opened.
    pub fn open(target: &Target) -> io::Result<Self> {
        Self::of(target.pid)
    }

    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))?;
        Ok(Self { pid, file })
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the process still has the address space that was opened: false after `execve` or exit.
    #[must_use]
    pub fn is_current(&self) -> bool {
        // The kernel reads 0 bytes of a dead address space, and fails with EIO where a live one maps nothing.
        !matches!(self.file.read_at(&mut [0], 0), Ok(0))
    }

    /// Reads many ranges in as few system calls as possible. Each range says how much of it was read.
    pub fn read_bulk(&self, ranges: &mut [Range<'_>]) {
        let mut rest = ranges;
        while !rest.is_empty() {
            let batch = rest.len().min(vm::MAX_RANGES);
            let complete = self.read_batch(&mut rest[..batch]);
            rest = &mut rest[complete..];
            if complete < batch {
                let (refused, tail) = rest
                    .split_first_mut()
                    .expect("a range of the batch is left");
                refused.filled = self.read_file(refused.address, refused.buffer);
                rest = tail;
            }
        }
    }

    /// Reads up to [`vm::MAX_RANGES`] ranges and returns how many leading ones are complete.
    fn read_batch(&self, ranges: &mut [Range<'_>]) -> usize {
        let remote: Vec<_> = ranges
            .iter()
            .map(|range| vm::remote(range.address.0, range.buffer.len()))
            .collect();
        let mut local: Vec<_> = ranges
            .iter_mut()
            .map(|range| IoSliceMut::new(range.buffer))
            .collect();
        let mut left = vm::read(self.pid, &mut local, &remote).unwrap_or(0);
        for (index, range) in ranges.iter_mut().enumerate() {
            if left < range.buffer.len() {
                return index;
            }
            left -= range.buffer.len();
            range.filled = range.buffer.len();
        }
        ranges.len()
    }

    /// Reads what can be read through `/proc/PID/mem` and returns how much.
    fn read_file(&self, address: RunAddr, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some(at) = address.0.checked_add(filled as u64) else {
                break;
            };
            match self.file.read_at(&mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        filled
    }
}

impl Memory for ProcessMemory {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let len = buffer.len();
        let remote = [vm::remote(address.0, len)];
        let direct = vm::read(self.pid, &mut [IoSliceMut::new(buffer)], &remote);
        if direct.is_ok_and(|count| count == len) || self.read_file(address, buffer) == len {
            Ok(())
        } else {
            Err(Unreadable { address, len })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ProcessMemory {
        ProcessMemory::of(Pid(std::process::id().cast_signed())).expect("our own memory opens")
    }

    fn address_of(bytes: &[u8]) -> RunAddr {
        RunAddr(bytes.as_ptr().addr() as u64)
    }

    #[test]
    fn bytes_and_words_are_read() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let memory = own();
        assert_eq!(memory.read_vec(address_of(&bytes), 9), Ok(bytes.to_vec()));
        assert_eq!(
            memory.read_u64(address_of(&bytes)),
            Ok(0x0807_0605_0403_0201)
        );
        assert!(memory.read_vec(RunAddr(16), 4).is_err());
        assert!(memory.read_vec(RunAddr(u64::MAX - 1), 4).is_err());
        assert!(memory.is_current());
    }

    #[test]
    fn bulk_reads_report_each_range() {
        let source: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let mut buffers = vec![[0_u8; 2]; 2400];
        let mut ranges: Vec<_> = buffers
            .iter_mut()
            .enumerate()
            .map(|(index, buffer)| {
                let hole = index % 1000 == 7;
                let address = address_of(&source[index * 2..]);
                Range::new(if hole { RunAddr(64) } else { address }, buffer)
            })
            .collect();
        own().read_bulk(&mut ranges);
        for (index, range) in ranges.iter().enumerate() {
            let hole = index % 1000 == 7;
            assert_eq!(range.is_complete(), !hole, "range {index}");
            assert!(
                hole || *range.buffer == source[index * 2..index * 2 + 2],
                "range {index}"
            );
        }
    }

    #[test]
    fn nothing_to_read_is_read() {
        own().read_bulk(&mut []);
        let mut ranges = [Range::new(RunAddr(64), &mut [])];
        own().read_bulk(&mut ranges);
        assert!(ranges[0].is_complete());
    }
}
