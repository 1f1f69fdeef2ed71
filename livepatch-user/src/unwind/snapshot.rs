//! A thread's stack as bytes: what was read in bulk first, more on demand.

use crate::memory::{Memory, Unreadable};
use livepatch_bundle::RunAddr;

/// Bytes to read at once when a frame lies beyond what is there.
const CHUNK: usize = 16 << 10;
const PAGE: u64 = 4096;

/// A window onto a stack, over the memory that the rest is read from.
pub struct StackSnapshot<'a> {
    first: Window<'a>,
    more_start: u64,
    more: Vec<u8>,
    memory: &'a dyn Memory,
}

#[derive(Clone, Copy)]
struct Window<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl Window<'_> {
    fn word(self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let word = self.bytes.get(offset..)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    }
}

impl<'a> StackSnapshot<'a> {
    /// The bytes at `start`, read a moment ago, over `memory`. Nothing is allocated unless a frame lies beyond.
    #[must_use]
    pub fn new(start: RunAddr, bytes: &'a [u8], memory: &'a dyn Memory) -> Self {
        Self {
            first: Window {
                start: start.0,
                bytes,
            },
            more_start: 0,
            more: Vec::new(),
            memory,
        }
    }

    /// Everything is read on demand.
    #[must_use]
    pub fn on_demand(memory: &'a dyn Memory) -> Self {
        Self::new(RunAddr(0), &[], memory)
    }

    /// What lies below.
    #[must_use]
    pub fn memory(&self) -> &'a dyn Memory {
        self.memory
    }

    /// The word at `address`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn word(&mut self, address: RunAddr) -> Result<u64, Unreadable> {
        let more = Window {
            start: self.more_start,
            bytes: &self.more,
        };
        match self.first.word(address.0).or_else(|| more.word(address.0)) {
            Some(word) => Ok(word),
            None => self.refill(address),
        }
    }

    /// Moves the second window to `address`; a chunk that leaves the mapping is cut at the end of the page.
    fn refill(&mut self, address: RunAddr) -> Result<u64, Unreadable> {
        let to_page_end = usize::try_from(PAGE - address.0 % PAGE).unwrap_or(8);
        self.more.clear();
        self.more_start = address.0;
        for len in [CHUNK, to_page_end.max(8)] {
            self.more.resize(len, 0);
            if self.memory.read(address, &mut self.more).is_ok() {
                break;
            }
            self.more.clear();
        }
        let bytes = self
            .more
            .first_chunk()
            .ok_or(Unreadable { address, len: 8 })?;
        Ok(u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Array {
        start: u64,
        bytes: Vec<u8>,
        reads: Cell<usize>,
    }

    impl Memory for Array {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            self.reads.set(self.reads.get() + 1);
            let len = buffer.len();
            let bytes = address.0.checked_sub(self.start).and_then(|offset| {
                let offset = usize::try_from(offset).ok()?;
                self.bytes.get(offset..offset.checked_add(len)?)
            });
            buffer.copy_from_slice(bytes.ok_or(Unreadable { address, len })?);
            Ok(())
        }
    }

    fn counted(words: u64) -> Array {
        Array {
            start: 0x1000,
            bytes: (0..words).flat_map(u64::to_le_bytes).collect(),
            reads: Cell::new(0),
        }
    }

    #[test]
    fn the_window_is_not_read_again() {
        let array = counted(512);
        let window = array.bytes[..64].to_vec();
        let mut stack = StackSnapshot::new(RunAddr(0x1000), &window, &array);
        assert_eq!(stack.word(RunAddr(0x1038)), Ok(7));
        assert_eq!(array.reads.get(), 0);
        assert_eq!(stack.word(RunAddr(0x1040)), Ok(8));
        let reads = array.reads.get();
        assert_eq!(stack.word(RunAddr(0x1ff8)), Ok(511));
        assert_eq!(array.reads.get(), reads);
    }

    #[test]
    fn the_end_of_memory_is_an_error() {
        let array = counted(512);
        let mut stack = StackSnapshot::on_demand(&array);
        assert_eq!(stack.word(RunAddr(0x1ff8)), Ok(511));
        assert!(stack.word(RunAddr(0x1ffc)).is_err());
        assert!(stack.word(RunAddr(0x2000)).is_err());
        assert!(stack.word(RunAddr(u64::MAX - 3)).is_err());
        assert_eq!(stack.word(RunAddr(0x1000)), Ok(0));
    }
}
