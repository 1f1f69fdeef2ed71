//! Which bytes are exchanged at the switch, gathered so that the stop holds few system calls.
//!
//! Entries that share a page, or lie on neighbouring ones, are written as one *run*: the bytes between them are
//! written back as they were read and compared just before. A patch of one function is one write.
//!
//! Pure but for the [`Memory`] that [`Run::gather`] reads.

use crate::memory::{Memory, Unreadable};
use crate::place::PAGE;
use livepatch_bundle::RunAddr;
use thiserror::Error;

/// Bytes at one place, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Where.
    pub address: RunAddr,
    /// What must stand there now.
    pub before: Vec<u8>,
    /// What shall stand there; as many bytes.
    pub after: Vec<u8>,
}

impl Exchange {
    fn end(&self) -> u64 {
        self.address.0 + self.before.len() as u64
    }

    /// The exchange that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            address: self.address,
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }
}

/// Why exchanges cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// Somebody else changed the bytes.
    #[error("the bytes at {address} are {found:02x?} instead of {expected:02x?}")]
    Changed {
        /// Where.
        address: RunAddr,
        /// What should be there.
        expected: Vec<u8>,
        /// What is there.
        found: Vec<u8>,
    },
    /// Two entries overlap.
    #[error("two entries overlap at {0}")]
    Overlap(RunAddr),
    /// The text cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// One contiguous write, and what it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// First address.
    pub address: RunAddr,
    /// The bytes as they are.
    pub before: Vec<u8>,
    /// The bytes as they shall be.
    pub after: Vec<u8>,
}

impl Run {
    /// Gathers exchanges into runs and checks that each finds the bytes that it replaces.
    ///
    /// # Errors
    /// When entries overlap or the text is not as expected.
    pub fn gather(
        mut exchanges: Vec<Exchange>,
        memory: &dyn Memory,
    ) -> Result<Vec<Self>, ExchangeError> {
        exchanges.sort_by_key(|exchange| exchange.address);
        if let Some(pair) = exchanges
            .windows(2)
            .find(|pair| pair[0].end() > pair[1].address.0)
        {
            return Err(ExchangeError::Overlap(pair[1].address));
        }
        let near = |a: &Exchange, b: &Exchange| b.address.0 / PAGE <= (a.end() - 1) / PAGE + 1;
        exchanges
            .chunk_by(near)
            .map(|group| Self::read(group, memory))
            .collect()
    }

    fn read(group: &[Exchange], memory: &dyn Memory) -> Result<Self, ExchangeError> {
        let address = group[0].address;
        let end = group.last().map_or(address.0, Exchange::end);
        let before = memory.read_vec(address, (end - address.0) as usize)?;
        let mut after = before.clone();
        for exchange in group {
            let start = (exchange.address.0 - address.0) as usize;
            let range = start..start + exchange.before.len();
            if before[range.clone()] != exchange.before {
                let (expected, found) = (exchange.before.clone(), before[range].to_vec());
                return Err(ExchangeError::Changed {
                    address: exchange.address,
                    expected,
                    found,
                });
            }
            after[range].copy_from_slice(&exchange.after);
        }
        Ok(Self {
            address,
            before,
            after,
        })
    }

    /// The run that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            address: self.address,
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }

    /// The pages that the run touches.
    pub fn pages(&self) -> impl Iterator<Item = RunAddr> + use<> {
        let first = self.address.0 & !(PAGE - 1);
        let end = self.address.0 + self.before.len() as u64;
        (first..end).step_by(PAGE as usize).map(RunAddr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(Vec<u8>);

    impl Memory for Text {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let start = address.0 as usize;
            let bytes = self.0.get(start..start + buffer.len());
            let bytes = bytes.ok_or(Unreadable {
                address,
                len: buffer.len(),
            })?;
            buffer.copy_from_slice(bytes);
            Ok(())
        }
    }

    fn exchange(address: u64, before: u8) -> Exchange {
        Exchange {
            address: RunAddr(address),
            before: vec![before; 5],
            after: vec![0xe9; 5],
        }
    }

    #[test]
    fn neighbours_are_one_run_and_bytes_between_stay() {
        let text = Text((0..0x8000_u32).map(|i| (i / 0x100) as u8).collect());
        let runs = Run::gather(
            vec![
                exchange(0x1800, 0x18),
                exchange(0x1000, 0x10),
                exchange(0x7000, 0x70),
            ],
            &text,
        )
        .unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0].address, RunAddr(0x1000));
        assert_eq!(runs[0].after[..5], [0xe9; 5]);
        assert_eq!(runs[0].after[5..0x800], runs[0].before[5..0x800]);
        assert_eq!(runs[0].after[0x800..], [0xe9; 5]);
    }

    #[test]
    fn other_bytes_than_expected_are_an_error() {
        let text = Text(vec![0x90; 0x2000]);
        let error = Run::gather(vec![exchange(0x1000, 0x55)], &text).unwrap_err();
        assert!(matches!(
            error,
            ExchangeError::Changed {
                address: RunAddr(0x1000),
                ..
            }
        ));
    }

    #[test]
    fn overlapping_entries_are_an_error() {
        let text = Text(vec![0x90; 0x2000]);
        let error =
            Run::gather(vec![exchange(0x1000, 0x90), exchange(0x1003, 0x90)], &text).unwrap_err();
        assert_eq!(error, ExchangeError::Overlap(RunAddr(0x1003)));
    }

    #[test]
    fn a_run_names_its_pages() {
        let run = Run {
            address: RunAddr(0x1ffe),
            before: vec![0; 5],
            after: vec![0; 5],
        };
        assert_eq!(
            run.pages().collect::<Vec<_>>(),
            [RunAddr(0x1000), RunAddr(0x2000)]
        );
    }
}
