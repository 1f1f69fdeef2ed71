//! The patches that a process carries: records found in its memory and checked against it.
//!
//! A record is a claim. Before anything is believed or written, the module must still be mapped where it was, with the
//! same build ID, and every entry must hold our jump, or that of a later patch on top of it.

use crate::exchange::Exchange;
use crate::install::NAME_PREFIX;
use crate::memory::Memory;
use crate::place::PAGE;
use crate::process::Mapping;
use crate::record::{PRELUDE_LEN, PRELUDE_OFFSET, Prelude, Record, RecordError, Redirect};
use livepatch_bundle::RunAddr;
use serde::Serialize;
use std::collections::HashMap;

/// A patch found in the target.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Where it lies and whether it is retired.
    pub prelude: Prelude,
    /// What it says.
    pub record: Record,
    /// What the target's memory says.
    pub state: State,
}

/// The state of an installed patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Every entry leads to it, or to a later patch of the same function.
    Active,
    /// Reverted, but its memory stays.
    Retired {
        /// Why.
        reason: String,
    },
    /// Mapped, but no entry leads to it: what an interrupted run left.
    Inactive,
    /// Some entries lead to it and some do not: an interrupted run.
    Partial {
        /// How many entries lead to it.
        active: usize,
        /// How many there are.
        of: usize,
    },
    /// The module is no longer mapped, or another one is mapped there.
    Gone,
    /// Somebody else has changed an entry.
    Overwritten {
        /// The entry.
        entry: RunAddr,
    },
}

/// What is found at one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryState {
    Ours,
    Before,
    Other,
}

impl Installed {
    /// The patch's addresses, both parts.
    #[must_use]
    pub fn range(&self) -> (RunAddr, RunAddr) {
        (
            self.prelude.base,
            self.prelude.base.offset(self.prelude.len.cast_signed()),
        )
    }

    /// The addresses of its code, stubs included.
    #[must_use]
    pub fn code(&self) -> (RunAddr, RunAddr) {
        let (offset, len) = self.record.code;
        (
            RunAddr(self.prelude.base.0 + offset),
            RunAddr(self.prelude.base.0 + offset + len),
        )
    }

    /// The first addresses of all its functions.
    pub fn entries(&self) -> impl Iterator<Item = RunAddr> {
        self.record
            .entries
            .iter()
            .map(|offset| RunAddr(self.prelude.base.0.wrapping_add(*offset)))
    }

    /// Where its jumps are.
    pub fn sites(&self) -> impl Iterator<Item = RunAddr> {
        self.record.functions.iter().map(|redirect| redirect.site)
    }

    /// Whether no entry leads to it: only its memory is there.
    #[must_use]
    pub fn is_left_over(&self) -> bool {
        matches!(
            self.state,
            State::Retired { .. } | State::Inactive | State::Gone
        )
    }

    /// The exchanges that take its jumps back.
    #[must_use]
    pub fn undo(&self) -> Vec<Exchange> {
        self.record
            .functions
            .iter()
            .map(|redirect| redirect_exchange(redirect).reversed())
            .collect()
    }
}

/// The later patches that lie on the patch at `index`: that redirect one of the same functions, or use its code or data.
/// Where it is out of force, only the latter.
pub fn dependents(patches: &[Installed], index: usize) -> impl Iterator<Item = &Installed> {
    let lower = &patches[index];
    let sites: Vec<RunAddr> = match lower.is_left_over() {
        true => Vec::new(),
        false => lower.sites().collect(),
    };
    let over = move |later: &&Installed| {
        let rests = later.record.rests_on.contains(&lower.record.sequence);
        rests || !later.is_left_over() && later.sites().any(|site| sites.contains(&site))
    };
    patches[index + 1..].iter().filter(over)
}

/// The exchange that writes a redirection's jump.
#[must_use]
pub fn redirect_exchange(redirect: &Redirect) -> Exchange {
    Exchange {
        address: redirect.site,
        before: redirect.saved.clone(),
        after: redirect.jump.clone(),
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The patches, in the order in which they were applied.
    pub patches: Vec<Installed>,
    /// Records that this livepatch cannot read.
    pub unreadable: Vec<RecordError>,
}

/// Finds every record in the process's memory.
#[must_use]
pub fn find(
    mappings: &[Mapping],
    memory: &dyn Memory,
    build_id_at: &dyn Fn(RunAddr) -> Option<Vec<u8>>,
) -> Found {
    let mut found = Found::default();
    let mut room = Room::default();
    for mapping in mappings
        .iter()
        .filter(|m| m.read && m.execute && !m.write && !m.shared && m.len() >= PAGE)
    {
        match read_record(mapping, memory, &mut room) {
            Ok((prelude, record)) => found.patches.push(Installed {
                prelude,
                record,
                state: State::Inactive,
            }),
            Err(RecordError::NotOne) => {}
            Err(error) => found.unreadable.push(error),
        }
    }
    found.patches.sort_by_key(|patch| patch.record.sequence);
    let entries = Entries::read(&found.patches, memory);
    for index in 0..found.patches.len() {
        found.patches[index].state = state(&found.patches, index, mappings, &entries, build_id_at);
    }
    found
}

/// What the records of one process may take up together: what a hostile one shows us must not cost more than a moment.
struct Room {
    records: usize,
    bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            records: 4096,
            bytes: 64 << 20,
        }
    }
}

impl Room {
    fn take(&mut self, bytes: u64) -> Option<()> {
        self.records = self.records.checked_sub(1)?;
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }
}

fn read_record(
    mapping: &Mapping,
    memory: &dyn Memory,
    room: &mut Room,
) -> Result<(Prelude, Record), RecordError> {
    let bytes = memory
        .read_vec(
            RunAddr(mapping.start.0 + PRELUDE_OFFSET),
            PRELUDE_LEN as usize,
        )
        .map_err(|_| match mapping.is_memory_file(NAME_PREFIX) {
            true => RecordError::Unreadable(mapping.start),
            false => RecordError::NotOne,
        })?;
    let prelude = Prelude::decode(&bytes, mapping.start)?;
    let damaged = RecordError::Damaged(mapping.start);
    let (offset, len) = prelude.body;
    if u64::from(offset) + u64::from(len) > mapping.len() {
        return Err(damaged);
    }
    room.take(u64::from(len)).ok_or(RecordError::TooMany)?;
    let body = memory
        .read_vec(RunAddr(mapping.start.0 + u64::from(offset)), len as usize)
        .map_err(|_| damaged.clone())?;
    let record = prelude.record(&body)?;
    if record.text_len != mapping.len() {
        Err(damaged)
    } else {
        Ok((prelude, record))
    }
}

fn state(
    patches: &[Installed],
    index: usize,
    mappings: &[Mapping],
    entries: &Entries,
    build_id_at: &dyn Fn(RunAddr) -> Option<Vec<u8>>,
) -> State {
    let patch = &patches[index];
    let module = &patch.record.module;
    let mapped = mappings
        .iter()
        .any(|mapping| mapping.contains(module.start));
    if !mapped || build_id_at(module.start).unwrap_or_default() != module.build_id {
        return State::Gone;
    }
    if let Some(reason) = &patch.prelude.retired {
        return State::Retired {
            reason: reason.clone(),
        };
    }
    let entries: Vec<(&Redirect, EntryState)> = patch
        .record
        .functions
        .iter()
        .enumerate()
        .map(|(function, redirect)| (redirect, entries.state(index, function)))
        .collect();
    if let Some((redirect, _)) = entries
        .iter()
        .find(|(_, state)| *state == EntryState::Other)
    {
        return State::Overwritten {
            entry: redirect.entry,
        };
    }
    let active = entries
        .iter()
        .filter(|(_, state)| *state == EntryState::Ours)
        .count();
    match active {
        0 => State::Inactive,
        _ if active == entries.len() => State::Active,
        _ => State::Partial {
            active,
            of: entries.len(),
        },
    }
}

/// What every entry holds, patch by patch, function by function.
struct Entries(Vec<Vec<EntryState>>);

impl Entries {
    /// Reads the entries, from the latest patch to the first: what is there is our jump, or that of a later patch
    /// that was written over ours and is still there. Patches ascend.
    fn read(patches: &[Installed], memory: &dyn Memory) -> Self {
        let mut above: HashMap<RunAddr, Vec<(&Redirect, EntryState)>> = HashMap::new();
        let mut all = Vec::with_capacity(patches.len());
        for patch in patches.iter().rev() {
            let functions = patch.record.functions.iter();
            let states: Vec<EntryState> = functions
                .map(|redirect| {
                    let over = above.entry(redirect.site).or_default();
                    let state = entry_state(redirect, over, memory);
                    over.push((redirect, state));
                    state
                })
                .collect();
            all.push(states);
        }
        all.reverse();
        settle_superseded(patches, &mut all);
        Self(all)
    }

    fn state(&self, patch: usize, function: usize) -> EntryState {
        self.0[patch][function]
    }
}

/// From the first patch to the latest: one that lay on a patch which is out of force there, and whose own jump is gone, too, is
/// out of force as well. So it is when a whole stack is superseded at once.
fn settle_superseded(patches: &[Installed], states: &mut [Vec<EntryState>]) {
    let mut out: HashMap<RunAddr, Vec<&[u8]>> = HashMap::new();
    for (patch, states) in patches.iter().zip(states) {
        for (redirect, state) in patch.record.functions.iter().zip(states) {
            let below = out.entry(redirect.site).or_default();
            let on_one = || below.iter().any(|jump| begin_alike(jump, &redirect.saved));
            if *state == EntryState::Other && on_one() {
                *state = EntryState::Before;
            }
            if *state == EntryState::Before {
                below.push(&redirect.jump);
            }
        }
    }
}

/// What one entry holds; `above` are the later patches' jumps at this place, the latest first.
fn entry_state(
    redirect: &Redirect,
    above: &[(&Redirect, EntryState)],
    memory: &dyn Memory,
) -> EntryState {
    if holds(redirect.site, &redirect.jump, memory) {
        return EntryState::Ours;
    }
    let written_over = |bytes: &[u8]| {
        let mut later = above.iter();
        later.any(|(over, state)| *state == EntryState::Ours && begin_alike(&over.saved, bytes))
    };
    if written_over(&redirect.jump) {
        EntryState::Ours
    } else if holds(redirect.site, &redirect.saved, memory) || written_over(&redirect.saved) {
        EntryState::Before
    } else {
        EntryState::Other
    }
}

/// Whether one is the beginning of the other: the jumps of two patches of one function may differ in length.
fn begin_alike(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn holds(site: RunAddr, bytes: &[u8], memory: &dyn Memory) -> bool {
    memory
        .read_vec(site, bytes.len())
        .is_ok_and(|found| found == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unreadable;
    use crate::process::parse_maps;

    /// Nothing can be read.
    struct Nothing;

    impl Memory for Nothing {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let len = buffer.len();
            Err(Unreadable { address, len })
        }
    }

    #[test]
    fn a_patch_that_cannot_be_read_is_not_overlooked() {
        let text = "1000-2000 r-xp 0 0:1 7 /memfd:livepatch:fix (deleted)\n\
                    2000-3000 r-xp 0 0:1 8 /memfd:other (deleted)\n3000-4000 r-xp 0 0:0 0\n";
        let mappings = parse_maps(text.as_bytes()).expect("well-formed");
        let found = find(&mappings, &Nothing, &|_| None);
        assert!(found.patches.is_empty());
        assert_eq!(found.unreadable, [RecordError::Unreadable(RunAddr(0x1000))]);
    }
}
