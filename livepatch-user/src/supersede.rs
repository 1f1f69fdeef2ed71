//! Replacing earlier patches by a new one in the same stop (`supersedes` in the manifest).
//!
//! The new patch was made from the program as it was built, so it is fitted to the text as it was before the earlier ones,
//! which [`Before`] shows. The switch then takes the old jumps back and writes the new ones at once; no thread may be inside
//! the code of either. As with the kernel's cumulative patches (`Documentation/livepatch/cumulative-patches.rst`), only the
//! hooks of the new patch run, and a later revert leads to the program as it was built.

use crate::error::Error;
use crate::exchange::Exchange;
use crate::installed::{Installed, State, dependents, redirect_exchange};
use crate::memory::{Memory, Unreadable};
use crate::process::Pid;
use crate::record::Redirect;
use crate::unwind::ForbiddenRange;
use livepatch_bundle::RunAddr;

/// The patches of a process as the new one finds them.
#[derive(Debug)]
pub struct Ground {
    /// Those that stay, in the order in which they were applied.
    pub kept: Vec<Installed>,
    /// Those that go, the latest first.
    pub going: Vec<Installed>,
    /// The highest number of any patch.
    pub last_sequence: u64,
}

impl Ground {
    /// Which of `patches` stay if one with these names to supersede comes. Names that no patch in force has are none.
    ///
    /// # Errors
    /// When one that goes is not whole, or one that stays was made on top of it.
    pub fn divide(pid: Pid, names: &[String], patches: &[Installed]) -> Result<Self, Error> {
        let is_meant =
            |patch: &Installed| names.contains(&patch.record.name) && !patch.is_left_over();
        for (index, patch) in patches.iter().enumerate().filter(|(_, p)| is_meant(p)) {
            whole(pid, patch)?;
            if let Some(on_top) = dependents(patches, index).find(|other| !is_meant(other)) {
                return Err(Error::Covered {
                    pid,
                    name: patch.record.name.clone(),
                    by: on_top.record.name.clone(),
                });
            }
        }
        let (mut going, kept): (Vec<_>, Vec<_>) = patches.iter().cloned().partition(is_meant);
        going.reverse();
        let last = patches.iter().map(|patch| patch.record.sequence).max();
        Ok(Self {
            kept,
            going,
            last_sequence: last.unwrap_or(0),
        })
    }

    /// The text as it was before the patches that go.
    #[must_use]
    pub fn before<'a>(&'a self, memory: &'a dyn Memory) -> Before<'a> {
        let redirects = self.going.iter().flat_map(|patch| &patch.record.functions);
        Before {
            memory,
            writes: redirects.map(|old| (old.site, &old.saved[..])).collect(),
        }
    }

    /// What is to be written: the jumps of the patches that go are taken back, the latest patch's first, and the new ones come.
    #[must_use]
    pub fn layers(&self, new: &[Redirect]) -> Vec<Vec<Exchange>> {
        let new = new.iter().map(redirect_exchange).collect();
        let going = self.going.iter().map(Installed::undo);
        going.chain(std::iter::once(new)).collect()
    }

    /// The code that nothing leads to afterwards: no thread may be inside.
    pub fn forbidden(&self) -> impl Iterator<Item = ForbiddenRange> {
        self.going.iter().map(|patch| {
            let (start, end) = patch.code();
            ForbiddenRange::new(start, end, patch.record.name.clone())
        })
    }
}

fn whole(pid: Pid, patch: &Installed) -> Result<(), Error> {
    let name = patch.record.name.clone();
    match patch.state {
        State::Overwritten { entry } => Err(Error::Overwritten { pid, name, entry }),
        State::Partial { .. } => Err(Error::NotWhole { pid, name }),
        _ => Ok(()),
    }
}

/// Memory as it was before some patches were applied.
pub struct Before<'a> {
    memory: &'a dyn Memory,
    /// Bytes to show instead; later ones hide earlier ones.
    writes: Vec<(RunAddr, &'a [u8])>,
}

impl Memory for Before<'_> {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)?;
        let end = address.0.saturating_add(buffer.len() as u64);
        for (at, bytes) in &self.writes {
            let first = at.0.max(address.0);
            let last = (at.0.saturating_add(bytes.len() as u64)).min(end);
            if first < last {
                let from = (first - at.0) as usize..(last - at.0) as usize;
                let to = (first - address.0) as usize..(last - address.0) as usize;
                buffer[to].copy_from_slice(&bytes[from]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bytes;

    #[test]
    fn what_patches_wrote_is_not_seen() {
        let memory = Bytes(vec![0xcc; 0x20]);
        let before = Before {
            memory: &memory,
            writes: vec![
                (RunAddr(0x1004), &[1, 2, 3, 4]),
                (RunAddr(0x1006), &[5]),
                (RunAddr(0x101f), &[6, 7]),
            ],
        };
        let read = |at, len| before.read_vec(RunAddr(at), len).expect("readable");
        assert_eq!(
            read(0x1000, 10),
            [0xcc, 0xcc, 0xcc, 0xcc, 1, 2, 5, 4, 0xcc, 0xcc]
        );
        assert_eq!(read(0x1005, 1), [2]);
        assert_eq!(read(0x101e, 2), [0xcc, 6]);
        assert!(before.read_vec(RunAddr(0x101f), 2).is_err(), "the end");
    }
}
