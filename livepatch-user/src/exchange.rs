//! Which bytes are exchanged at the switch, gathered so that the stop holds few system calls.
//!
//! Entries that share a page, or lie on neighbouring ones, are written as one *run*: the bytes between them are
//! written back as they were read and compared just before. A patch of one function is one write.
//!
//! Pure but for the [`Memory`] that [`gather`] reads.

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

    /// The pages that it touches.
    pub fn pages(&self) -> impl Iterator<Item = RunAddr> + use<> {
        let first = self.address.0 & !(PAGE - 1);
        (first..self.end()).step_by(PAGE as usize).map(RunAddr)
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

/// Gathers exchanges into runs: contiguous exchanges with what lies between. Each layer is applied to what the layers before it
/// leave, so that earlier patches can go and a new one come in the same writes; each exchange must find the bytes that it replaces.
///
/// # Errors
/// When entries of one layer overlap or the text is not as expected.
pub fn gather(
    layers: &[Vec<Exchange>],
    memory: &dyn Memory,
) -> Result<Vec<Exchange>, ExchangeError> {
    let mut all: Vec<(usize, &Exchange)> = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let mut layer: Vec<&Exchange> = layer.iter().collect();
        layer.sort_by_key(|exchange| exchange.address);
        if let Some(pair) = layer
            .windows(2)
            .find(|pair| pair[0].end() > pair[1].address.0)
        {
            return Err(ExchangeError::Overlap(pair[1].address));
        }
        all.extend(layer.into_iter().map(|exchange| (number, exchange)));
    }
    all.sort_by_key(|(_, exchange)| (exchange.address, exchange.end()));
    let near = |(_, a): &(usize, &Exchange), (_, b): &(usize, &Exchange)| {
        b.address.0 / PAGE <= (a.end() - 1) / PAGE + 1
    };
    all.chunk_by(near).map(|group| run(group, memory)).collect()
}

/// One run of exchanges, each with the number of its layer.
fn run(group: &[(usize, &Exchange)], memory: &dyn Memory) -> Result<Exchange, ExchangeError> {
    let address = group[0].1.address;
    let end = group.iter().map(|(_, exchange)| exchange.end()).max();
    let len = end.map_or(0, |end| end - address.0);
    let before = memory.read_vec(address, len as usize)?;
    let mut after = before.clone();
    let mut by_layer = group.to_vec();
    by_layer.sort_by_key(|(layer, _)| *layer);
    for (_, exchange) in by_layer {
        let start = (exchange.address.0 - address.0) as usize;
        let place = &mut after[start..start + exchange.before.len()];
        if *place != *exchange.before {
            return Err(ExchangeError::Changed {
                address: exchange.address,
                expected: exchange.before.clone(),
                found: place.to_vec(),
            });
        }
        place.copy_from_slice(&exchange.after);
    }
    Ok(Exchange {
        address,
        before,
        after,
    })
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
        let runs = gather(
            &[vec![
                exchange(0x1800, 0x18),
                exchange(0x1000, 0x10),
                exchange(0x7000, 0x70),
            ]],
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
        let error = gather(&[vec![exchange(0x1000, 0x55)]], &text).unwrap_err();
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
        let error = gather(
            &[vec![exchange(0x1000, 0x90), exchange(0x1003, 0x90)]],
            &text,
        )
        .unwrap_err();
        assert_eq!(error, ExchangeError::Overlap(RunAddr(0x1003)));
    }

    #[test]
    fn a_run_names_its_pages() {
        let run = Exchange {
            address: RunAddr(0x1ffe),
            before: vec![0; 5],
            after: vec![0; 5],
        };
        assert_eq!(
            run.pages().collect::<Vec<_>>(),
            [RunAddr(0x1000), RunAddr(0x2000)]
        );
    }

    /// Bytes at 0x1000 + `at` that are exchanged.
    fn at(at: u64, before: &[u8], after: &[u8]) -> Exchange {
        Exchange {
            address: RunAddr(0x1000 + at),
            before: before.to_vec(),
            after: after.to_vec(),
        }
    }

    #[test]
    fn a_layer_finds_what_the_one_before_leaves() {
        let mut bytes = vec![0x90; 0x3000];
        bytes[0x1010..0x1018].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let text = Text(bytes);
        let old = vec![at(0x10, &[1, 2, 3, 4, 5], &[0x55; 5])];
        let new = vec![at(0x10, &[0x55, 0x55, 0x55, 0x55, 0x55, 6], &[0xe9; 6])];
        let runs = gather(&[old.clone(), new.clone()], &text).unwrap();
        assert_eq!(runs, [at(0x10, &[1, 2, 3, 4, 5, 6], &[0xe9; 6])]);
        let runs = gather(&[old, vec![]], &text).unwrap();
        assert_eq!(runs, [at(0x10, &[1, 2, 3, 4, 5], &[0x55; 5])]);
        let error = gather(&[vec![], new], &text).unwrap_err();
        assert!(matches!(error, ExchangeError::Changed { .. }), "{error}");
    }
}
