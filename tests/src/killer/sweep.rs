//! Going through all system calls of a run, or a sample of them.

use super::build::{Built, Patch};
use super::moment::{self, Group};
use super::subject::{Subject, Verb};
use super::tally::{Finding, Tally};
use super::{Victim, trace};
use crate::random::Random;
use anyhow::{Context, Result};
use std::time::Duration;

/// After which system calls to kill.
#[derive(Clone, Debug)]
pub enum Calls {
    /// From the first number to the second or the last of the run.
    Between(usize, usize),
    /// So many, chosen at random.
    Sample(usize),
}

/// What is interrupted.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The command.
    pub verb: Verb,
    /// The patch.
    pub patch: Patch,
    /// How many threads the target has.
    pub threads: usize,
    /// Who is killed.
    pub victim: Victim,
    /// How the target confines itself, if it does.
    pub confinement: Option<String>,
}

impl Sweep {
    /// The row's name in a table.
    #[must_use]
    pub fn name(&self) -> String {
        let Self {
            verb,
            patch,
            threads,
            victim,
            ..
        } = self;
        format!(
            "{:6} {:5} {threads:3} {:8}",
            verb.name(),
            patch.name(),
            victim.name()
        )
    }

    fn start(&self, built: &Built) -> Result<Subject> {
        match &self.confinement {
            None => Subject::start(built, self.patch, self.threads),
            Some(how) => Subject::start_confined(built, self.patch, self.threads, how),
        }
    }

    /// Kills after system calls.
    ///
    /// # Errors
    /// When something else than the target fails.
    pub fn calls(&self, built: &Built, calls: &Calls, random: &mut Random) -> Result<Tally> {
        let mut run = Run::begin(self, built)?;
        match *calls {
            Calls::Between(first, last) => {
                for at in first..=last {
                    if !run.kill_after(at)? {
                        break;
                    }
                }
            }
            Calls::Sample(count) => {
                let whole = run.count_calls()?;
                for at in random.sample((1..=whole).collect(), count) {
                    run.kill_after(at)?;
                }
            }
        }
        Ok(run.tally)
    }

    /// Kills at so many moments.
    ///
    /// # Errors
    /// As [`Self::calls`].
    pub fn moments(&self, built: &Built, count: usize, random: &mut Random) -> Result<Tally> {
        let mut run = Run::begin(self, built)?;
        let whole = run.measure()?;
        for _ in 0..count {
            let delay = whole * random.below(1000) as u32 / 1000;
            run.kill_at(delay)?;
        }
        Ok(run.tally)
    }

    /// Kills the whole cgroup at so many moments.
    ///
    /// # Errors
    /// As [`Self::calls`], and when there are no cgroups.
    pub fn groups(&self, built: &Built, count: usize, random: &mut Random) -> Result<Tally> {
        let group = Group::make()?;
        let mut run = Run::begin(self, built)?;
        let whole = run.measure()?;
        for _ in 0..count {
            let delay = whole * random.below(1000) as u32 / 1000;
            let command = run.subject.prepare(self.verb)?;
            group.run(&command, &built.directory, delay)?;
            run.inspect("cgroup")?;
        }
        Ok(run.tally)
    }
}

struct Run<'s> {
    sweep: &'s Sweep,
    built: &'s Built,
    subject: Subject,
    tally: Tally,
}

impl<'s> Run<'s> {
    fn begin(sweep: &'s Sweep, built: &'s Built) -> Result<Self> {
        Ok(Self {
            sweep,
            built,
            subject: sweep.start(built)?,
            tally: Tally::default(),
        })
    }

    /// Whether the run was long enough for it.
    fn kill_after(&mut self, at: usize) -> Result<bool> {
        let (verb, victim) = (self.sweep.verb, self.sweep.victim);
        let command = self.subject.prepare(verb)?;
        let ended = trace::run(&command, &self.built.directory, victim, at)
            .with_context(|| format!("system call {at}"))?;
        let Some((number, argument)) = ended.killed_after else {
            self.restart()?;
            return Ok(false);
        };
        self.inspect(&format!(
            "after call {at} (number {number}, {argument:#x}, ...)"
        ))?;
        Ok(true)
    }

    fn kill_at(&mut self, delay: Duration) -> Result<()> {
        let (verb, victim) = (self.sweep.verb, self.sweep.victim);
        let command = self.subject.prepare(verb)?;
        let struck = moment::run(&command, &self.built.directory, victim, delay)?;
        if struck.is_some() {
            self.inspect("at a moment")
        } else {
            self.restart()
        }
    }

    fn inspect(&mut self, place: &str) -> Result<()> {
        let (finding, usable): (Finding, bool) = self.subject.inspect()?;
        self.tally.add(place, &finding);
        if usable { Ok(()) } else { self.restart() }
    }

    fn restart(&mut self) -> Result<()> {
        self.subject = self.sweep.start(self.built)?;
        Ok(())
    }

    /// How many system calls the whole run makes.
    fn count_calls(&mut self) -> Result<usize> {
        let (verb, victim) = (self.sweep.verb, self.sweep.victim);
        let command = self.subject.prepare(verb)?;
        let ended = trace::run(&command, &self.built.directory, victim, usize::MAX)?;
        self.restart()?;
        Ok(ended.calls)
    }

    /// How long the whole run takes.
    fn measure(&mut self) -> Result<Duration> {
        let command = self.subject.prepare(self.sweep.verb)?;
        let whole = moment::measure(&command, &self.built.directory)?;
        self.restart()?;
        Ok(whole)
    }
}
