//! Writing the runs, or none of them.

use crate::exchange::Exchange;
use crate::memory::{Memory, Unreadable};
use crate::process::WriteError;
use livepatch_bundle::RunAddr;
use thiserror::Error;

/// Code that can be written although it is read-only.
pub trait Text: Memory {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When not all of them were written.
    fn write(&self, address: RunAddr, bytes: &[u8]) -> Result<(), WriteError>;
}

/// Why the runs were not written.
#[derive(Debug, Error)]
pub enum TextError {
    /// Somebody else changed the code since it was read; nothing was written.
    #[error("the code at {0} has changed meanwhile")]
    Changed(RunAddr),
    /// The code cannot be read; nothing was written.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A write failed; all bytes are as before.
    #[error("a write failed and was undone")]
    Undone(#[source] WriteError),
    /// What was read back is not what was written; all bytes are as before.
    #[error("the code at {0} does not read back as it was written; it was restored")]
    ReadBack(RunAddr),
    /// A write failed and undoing it failed, too.
    #[error(
        "the code at {address} could neither be written nor restored: it may hold part of a jump"
    )]
    NotUndone {
        /// Where.
        address: RunAddr,
        /// Why.
        source: WriteError,
    },
}

/// Compares all runs with the text, writes them and reads them back. On any failure all bytes are restored.
///
/// # Errors
/// [`TextError`]; only [`TextError::NotUndone`] leaves the text changed.
pub fn exchange(text: &dyn Text, runs: &[Exchange]) -> Result<(), TextError> {
    for run in runs {
        if text.read_vec(run.address, run.before.len())? != run.before {
            return Err(TextError::Changed(run.address));
        }
    }
    for (index, run) in runs.iter().enumerate() {
        if let Err(error) = text.write(run.address, &run.after) {
            restore(text, &runs[..=index])?;
            return Err(TextError::Undone(error));
        }
    }
    match runs
        .iter()
        .find(|run| !reads(text, run.address, &run.after))
    {
        None => Ok(()),
        Some(run) => {
            restore(text, runs)?;
            Err(TextError::ReadBack(run.address))
        }
    }
}

/// Restores runs, the last one first; goes on after a failure and tells the first.
fn restore(text: &dyn Text, runs: &[Exchange]) -> Result<(), TextError> {
    let mut failed = None;
    for run in runs.iter().rev() {
        if let Err(source) = text.write(run.address, &run.before)
            && !reads(text, run.address, &run.before)
        {
            failed.get_or_insert(TextError::NotUndone {
                address: run.address,
                source,
            });
        }
    }
    failed.map_or(Ok(()), Err)
}

fn reads(text: &dyn Text, address: RunAddr, bytes: &[u8]) -> bool {
    text.read_vec(address, bytes.len())
        .is_ok_and(|found| found == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Text of which the `fail_at`th write fails half-way; `stuck` makes all later ones fail, too.
    struct Fake {
        bytes: RefCell<Vec<u8>>,
        writes: Cell<usize>,
        fail_at: usize,
        stuck: bool,
    }

    impl Fake {
        fn new(fail_at: usize, stuck: bool) -> Self {
            Self {
                bytes: RefCell::new(vec![0x90; 0x400]),
                writes: Cell::new(0),
                fail_at,
                stuck,
            }
        }
    }

    impl Memory for Fake {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let bytes = self.bytes.borrow();
            let start = address.0 as usize;
            buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            Ok(())
        }
    }

    impl Text for Fake {
        fn write(&self, address: RunAddr, bytes: &[u8]) -> Result<(), WriteError> {
            let n = self.writes.get() + 1;
            self.writes.set(n);
            let fails = n == self.fail_at || (self.stuck && n > self.fail_at);
            let written = if fails { bytes.len() / 2 } else { bytes.len() };
            let start = address.0 as usize;
            self.bytes.borrow_mut()[start..start + written].copy_from_slice(&bytes[..written]);
            if fails {
                let source = std::io::Error::other("full");
                return Err(WriteError::Refused {
                    address,
                    len: bytes.len(),
                    written,
                    source,
                });
            }
            Ok(())
        }
    }

    fn runs() -> Vec<Exchange> {
        let run = |at| Exchange {
            address: RunAddr(at),
            before: vec![0x90; 5],
            after: vec![0xe9, 1, 2, 3, 4],
        };
        vec![run(0x10), run(0x100), run(0x200)]
    }

    #[test]
    fn all_runs_are_written() {
        let text = Fake::new(usize::MAX, false);
        exchange(&text, &runs()).unwrap();
        for run in runs() {
            assert!(reads(&text, run.address, &run.after));
        }
    }

    #[test]
    fn a_failure_at_any_write_restores_every_byte() {
        for n in 1..=runs().len() {
            let text = Fake::new(n, false);
            let error = exchange(&text, &runs()).unwrap_err();
            assert!(matches!(error, TextError::Undone(_)), "{error}");
            assert_eq!(*text.bytes.borrow(), vec![0x90; 0x400], "write {n}");
        }
    }

    #[test]
    fn a_failure_that_cannot_be_undone_says_so() {
        let text = Fake::new(2, true);
        let error = exchange(&text, &runs()).unwrap_err();
        assert!(matches!(error, TextError::NotUndone { .. }), "{error}");
    }

    #[test]
    fn text_that_has_changed_is_not_touched() {
        let text = Fake::new(usize::MAX, false);
        text.bytes.borrow_mut()[0x201] = 0xcc;
        assert!(matches!(
            exchange(&text, &runs()),
            Err(TextError::Changed(RunAddr(0x200)))
        ));
        assert_eq!(text.writes.get(), 0);
    }
}
