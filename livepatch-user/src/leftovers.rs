//! What a run that was killed left in the process, and its removal by the next one.
//!
//! A patch that was mapped and not switched to, or only in part, describes itself (`installed`), and is taken back as by a
//! revert. What describes itself by its name alone is found here: memory files that were not closed, the stacks on which
//! functions were called, parts of a patch that has no record yet, and arenas of which no patch knows.
//!
//! The caller holds the process's lock, so that nobody is still at work on any of it.

use crate::arena::{self, ARENA_NAME};
use crate::error::Error;
use crate::hands::borrow;
use crate::install::{Hands, NAME_PREFIX};
use crate::installed::{Found, State};
use crate::process::{Mapping, Pid, ProcessMemory};
use crate::remote::SCRATCH_NAME;
use crate::session::Session;
use crate::stop::{Roster, StoppedThread, stop};
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The memory file that announces that the process makes a userfaultfd for us and closes it again.
pub const USERFAULT_NAME: &str = "livepatch-userfaultfd";
/// How long the stop may take in which threads are looked for on a stack.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// What has our name and belongs to no patch.
#[derive(Debug, Default)]
pub struct Leftovers {
    descriptors: Vec<u64>,
    /// Parts of patches, and arenas.
    parts: Vec<(RunAddr, u64)>,
    /// Stacks.
    stacks: Vec<(RunAddr, u64)>,
}

/// Whether an interrupted run left this patch.
#[must_use]
pub fn is_interrupted(state: &State) -> bool {
    matches!(state, State::Inactive | State::Partial { .. })
}

impl Leftovers {
    /// Looks for them, in a process with these patches.
    #[must_use]
    pub fn find(session: &Session, found: &Found) -> Self {
        // A record of another version may own what looks like nobody's.
        let mut parts = Vec::new();
        if found.unreadable.is_empty() {
            parts = nobodys(&session.mappings, found);
            parts.extend(arena::stray(session, &found.patches));
        }
        let (descriptors, announced) = descriptors(session.pid());
        if found.unreadable.is_empty() {
            let announced = announced.iter();
            parts.extend(
                announced.filter_map(|name| arena::announced(session, &found.patches, name)),
            );
            parts.sort_unstable();
            parts.dedup();
        }
        Self {
            descriptors,
            parts,
            stacks: named(&session.mappings, SCRATCH_NAME).map(range).collect(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty() && self.parts.is_empty() && self.stacks.is_empty()
    }

    /// Lets the process unmap and close them. Stacks on which a function still runs stay.
    ///
    /// # Errors
    /// When the process cannot be made to.
    pub fn clear(mut self, session: &Session) -> Result<(), Error> {
        if !self.stacks.is_empty() && !nobody_on(session, &self.stacks)? {
            tracing::warn!("a function that an interrupted run called still runs; its stack stays");
            self.stacks.clear();
        }
        let mut hands = borrow(session)?;
        let mut failed = None;
        let close = |descriptor: &u64| (libc::SYS_close, [*descriptor, 0, 0, 0, 0, 0]);
        let unmap = |(start, len): &(RunAddr, u64)| (libc::SYS_munmap, [start.0, *len, 0, 0, 0, 0]);
        let ranges = self.parts.iter().chain(&self.stacks).map(unmap);
        for (number, arguments) in self.descriptors.iter().map(close).chain(ranges) {
            if let Err(error) = hands.syscall(number, arguments) {
                failed.get_or_insert(error);
            }
        }
        hands.give_back()?;
        if let Some(error) = failed {
            tracing::warn!("something that an interrupted run left stays: {error}");
        }
        Ok(())
    }
}

/// Mappings of a memory file whose name begins so.
fn named<'m>(mappings: &'m [Mapping], name: &str) -> impl Iterator<Item = &'m Mapping> {
    let mappings = mappings.iter();
    mappings.filter(move |mapping| mapping.is_memory_file(name))
}

fn range(mapping: &Mapping) -> (RunAddr, u64) {
    (mapping.start, mapping.len())
}

/// Parts of patches that no record claims. Code has a record from the start, so that other code is not ours to judge.
fn nobodys(mappings: &[Mapping], found: &Found) -> Vec<(RunAddr, u64)> {
    let claimed = |mapping: &&Mapping| {
        let inside = |(start, end)| start <= mapping.start && mapping.end <= end;
        found.patches.iter().any(|patch| inside(patch.range()))
    };
    named(mappings, NAME_PREFIX)
        .filter(|mapping| !mapping.execute && !claimed(mapping))
        .map(range)
        .collect()
}

/// The process's descriptors of our memory files, and of the userfaultfd that one of them announces; and where others announce an arena.
fn descriptors(pid: Pid) -> (Vec<u64>, Vec<String>) {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let entries = entries.into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, std::fs::read_link(entry.path()).ok()?))
    });
    let known: Vec<(u64, PathBuf)> = known.collect();
    let is_announced = known.iter().any(|(_, link)| is_of(link, USERFAULT_NAME));
    let names = [NAME_PREFIX, SCRATCH_NAME, USERFAULT_NAME, ARENA_NAME];
    let ours = |number: u64, link: &Path| {
        let userfault = is_announced && link == Path::new("anon_inode:[userfaultfd]");
        names.iter().any(|name| is_of(link, name)) || userfault && is_unused(pid, number)
    };
    let ours = known.iter().filter(|(number, link)| ours(*number, link));
    let arenas = known.iter().filter_map(|(_, link)| {
        let link = link.to_str()?.strip_prefix("/memfd:")?;
        link.strip_prefix(ARENA_NAME).map(str::to_owned)
    });
    (ours.map(|(number, _)| *number).collect(), arenas.collect())
}

/// Whether a descriptor leads to a memory file whose name begins so.
fn is_of(link: &Path, name: &str) -> bool {
    let link = link.to_string_lossy();
    let file = link.strip_prefix("/memfd:").unwrap_or_default();
    file.starts_with(name)
}

/// Whether nobody has begun to use a userfaultfd: it has no features (`userfaultfd_show_fdinfo`). We use ours only through
/// a copy, and after it is closed in the process.
fn is_unused(pid: Pid, number: u64) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
    text.is_ok_and(|text| text.contains("\nAPI:\taa:0:"))
}

/// Whether no thread's stack pointer is in these ranges. None can come there later, since nothing leads there.
fn nobody_on(session: &Session, ranges: &[(RunAddr, u64)]) -> Result<bool, Error> {
    let on = |thread: &StoppedThread| {
        let at = thread.registers.rsp;
        ranges
            .iter()
            .any(|(start, len)| at.wrapping_sub(start.0) < *len)
    };
    let judge = |threads: &[StoppedThread], _: &ProcessMemory| match threads.iter().any(on) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let roster = Roster::take(&session.target).map_err(crate::commit::CommitError::from)?;
    let deadline = Instant::now() + STOP_LIMIT;
    let stopped =
        stop(roster, &session.memory, deadline, judge).map_err(crate::commit::CommitError::from)?;
    match stopped {
        ControlFlow::Break(()) => Ok(false),
        ControlFlow::Continue(stopped) => {
            stopped
                .release()
                .map_err(crate::commit::CommitError::from)?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::parse_maps;

    #[test]
    fn only_what_has_our_name_and_no_code_is_nobodys() {
        let text = "1000-2000 r-xp 0 0:1 7 /memfd:livepatch:fix (deleted)\n\
                    2000-3000 rw-p 1000 0:1 7 /memfd:livepatch:fix (deleted)\n\
                    4000-5000 rw-p 0 0:1 8 /memfd:livepatch-scratch (deleted)\n\
                    6000-7000 rw-p 0 0:1 9 /memfd:livepatched (deleted)\n";
        let maps = parse_maps(text.as_bytes()).expect("well-formed");
        let found = Found::default();
        assert_eq!(nobodys(&maps, &found), [(RunAddr(0x2000), 0x1000)]);
        let stacks: Vec<_> = named(&maps, SCRATCH_NAME).map(range).collect();
        assert_eq!(stacks, [(RunAddr(0x4000), 0x1000)]);
    }
}
