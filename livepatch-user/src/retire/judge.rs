//! The part of a search after the stop: what do the copies say?

use super::capture::Capture;
use super::needles::Found;
use super::outcome::MAX_REPORTED;
use super::source::maps;
use super::tracking::RemoteSyscall;
use super::{Holder, Incomplete, Outcome, Place, areas, kernel, registers, stacks};
use crate::printable::one_line;
use crate::process::{Backing, Mapping, find_mapping};
use livepatch_bundle::RunAddr;

impl Capture<'_, '_> {
    /// Says whether anything pointed into the patch at the moment of the stop; signal handlers are left out. The target
    /// may run again, but its threads should not have been let go long ago: mappings that need no search must be the
    /// same still.
    #[must_use]
    pub fn judge(mut self) -> Outcome {
        let holders = self.holders();
        outcome(holders)
    }

    /// [Judges](Self::judge), signal handlers included. `remote` must be on a thread that runs again otherwise, and
    /// `scratch` be 32 bytes of the target's memory that may be overwritten.
    #[must_use]
    pub fn judge_with(mut self, remote: &mut dyn RemoteSyscall, scratch: RunAddr) -> Outcome {
        let (memory, needles) = (self.search.source.memory, &self.search.needles);
        let handlers = kernel::handlers(memory, remote, scratch, needles);
        let holders = self.holders().and_then(|mut holders| {
            holders.append(&mut handlers?);
            Ok(holders)
        });
        outcome(holders)
    }

    fn holders(&mut self) -> Result<Vec<Holder>, Incomplete> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let after = maps(self.search.source.memory)?;
        if let Some(address) = self.search.source.areas.changed(&after) {
            return Err(Incomplete::MapChanged { address });
        }
        self.all_read(&after)?;
        let before = self
            .newer
            .as_deref()
            .unwrap_or(self.search.source.areas.maps());
        let stacks = stacks::stacks(&self.threads, before, &after);
        let (patch, memory) = (&self.search.patch, self.search.source.memory);
        let mut words = self.words();
        words.retain(|word| !stacks::is_left_over(word, &stacks, patch, memory));
        let mut holders = self.in_registers();
        holders.append(&mut kernel::visible(
            memory.pid(),
            &after,
            &self.search.needles,
        )?);
        holders.extend(words.iter().map(|found| Holder {
            place: Place::Memory {
                at: found.at,
                mapping: name(find_mapping(&after, found.at)),
            },
            value: found.value,
        }));
        Ok(holders)
    }

    /// Memory that could not be read must be gone.
    fn all_read(&self, after: &[Mapping]) -> Result<(), Incomplete> {
        let there = |address: &&RunAddr| {
            find_mapping(after, **address)
                .is_some_and(|mapping| areas::treatment(mapping) != areas::Treatment::Nothing)
        };
        match self.unread.iter().find(there) {
            Some(&address) => Err(Incomplete::Unreadable { address }),
            None => Ok(()),
        }
    }

    /// The words that pointed into the patch: in the copied pages, and those known before that still did.
    fn words(&self) -> Vec<Found> {
        let needles = &self.search.needles;
        let known = self.known.iter().filter_map(|&(at, word)| {
            let value = needles.target(word?)?;
            Some(Found { at, value })
        });
        let mut words: Vec<Found> = known.collect();
        words.extend_from_slice(&self.search.known[self.known.len()..]);
        let mut room = self.search.room.as_slice();
        for run in &self.runs {
            let (bytes, rest) = room.split_at((run.end - run.start) as usize);
            needles.find(bytes, RunAddr(run.start), &mut words);
            room = rest;
        }
        words.sort_unstable_by_key(|found| found.at);
        words.dedup_by_key(|found| found.at);
        words
    }

    fn in_registers(&self) -> Vec<Holder> {
        let needles = &self.search.needles;
        let mut holders = Vec::new();
        for thread in &self.threads {
            let extended =
                registers::extended(&thread.extended, needles).map(|value| ("xstate", value));
            let general = registers::general(&thread.registers, needles);
            holders.extend(
                general
                    .into_iter()
                    .chain(extended)
                    .map(|(name, value)| Holder {
                        place: Place::Register {
                            tid: thread.tid,
                            name,
                        },
                        value,
                    }),
            );
        }
        holders
    }
}

fn outcome(holders: Result<Vec<Holder>, Incomplete>) -> Outcome {
    match holders {
        Err(reason) => Outcome::Incomplete(reason),
        Ok(holders) if holders.is_empty() => Outcome::Free,
        Ok(mut holders) => {
            let count = holders.len();
            holders.truncate(MAX_REPORTED);
            Outcome::Held { holders, count }
        }
    }
}

/// What the mapping shows.
fn name(mapping: Option<&Mapping>) -> String {
    match mapping.map(|mapping| &mapping.backing) {
        Some(Backing::File { path, .. }) => one_line(&path.to_string_lossy()).into_owned(),
        Some(Backing::Named(name)) => name.clone(),
        Some(Backing::Anonymous) | None => String::new(),
    }
}
