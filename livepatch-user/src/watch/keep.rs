//! The directory as it changes, and the figures.

use super::Watch;
use super::bundles::{Bundles, Unfit};
use super::journal::{Level, chain};
use super::look::{Tried, take_back};
use super::opened::{Opened, OpenedError};
use super::schedule::Cause;
use crate::crew::{self, CrewError};
use crate::list::{list, patched_processes};
use crate::process::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often figures are written at most.
const METRICS_EVERY: Duration = Duration::from_secs(1);

impl Watch {
    /// Begins to hear of opened files once a bundle is for a library.
    pub(super) fn watch_openings(&mut self) -> Result<(), OpenedError> {
        if self.bundles.libraries && self.opened.is_none() {
            self.opened = Some(Opened::watch()?);
        }
        Ok(())
    }

    /// Tells which bundles cannot be used, and why, each once for as long as that is so.
    pub(super) fn tell_unfit(&mut self, unfit: &[Unfit]) {
        let unfit: BTreeSet<String> = unfit.iter().map(|why| chain(why)).collect();
        for why in unfit.difference(&self.unfit) {
            self.log.problem(Level::Warning, why);
        }
        self.unfit = unfit;
    }

    /// Reads the directory again; true when there is something new in it.
    pub(super) fn reload(&mut self) -> bool {
        let read = Bundles::read(&self.options.directory, &self.options.sources);
        let (bundles, unfit) = match read {
            Ok(read) => read,
            Err(error) => {
                self.log.problem(Level::Error, &chain(&error));
                return false;
            }
        };
        self.tell_unfit(&unfit);
        let (before, after) = (self.bundles.digests(), bundles.digests());
        if before == after {
            return false;
        }
        let patches = bundles.patches();
        let gone = self.bundles.kept.iter();
        let gone = gone.filter(|kept| !patches.contains(kept.name()));
        let removed: Vec<(String, String)> = gone
            .map(|kept| (kept.name().to_owned(), hex::encode(kept.admitted.digest)))
            .collect();
        self.bundles = bundles;
        self.others.clear();
        if let Some(opened) = &mut self.opened {
            opened.forget_files();
        }
        let patches: Vec<String> = self.bundles.patches().into_iter().collect();
        self.log.note(
            "directory",
            &format!("the directory has changed; patches: {}", patches.join(", ")),
        );
        if let Err(error) = self.watch_openings() {
            self.log.problem(Level::Error, &chain(&error));
        }
        if !removed.is_empty() {
            // A worker has the bundles of its start.
            let (busy, now) = (self.busy(), Instant::now());
            self.give_up_looks();
            for pid in busy {
                self.schedule.trigger(pid, Cause::Unknown, now);
            }
        }
        for (patch, bundle) in removed {
            self.remove(&patch, &bundle);
        }
        after.difference(&before).next().is_some()
    }

    /// Takes a patch back wherever it came from this very bundle: others may have patches of the same name.
    fn remove(&mut self, patch: &str, bundle: &str) {
        if !self.options.revert_removed {
            self.log.note(
                "directory",
                &format!("the bundle of `{patch}` is gone; it stays where it is applied"),
            );
            return;
        }
        let has = |pid: Pid| {
            let patches = list(pid).unwrap_or_default();
            patches
                .iter()
                .any(|one| (&*one.patch, &*one.bundle) == (patch, bundle))
        };
        let pids = patched_processes().pids;
        let work = |index: usize| {
            has(pids[index]).then(|| take_back(pids[index], patch, &self.options.apply))
        };
        let mut all = Vec::new();
        let mut done = |_, result: Result<Option<Tried>, CrewError>| match result {
            Ok(tried) => all.extend(tried),
            Err(error) => self.log.problem(Level::Error, &error.to_string()),
        };
        crew::run(pids.len(), self.options.at_once, &work, &mut done);
        all.iter().for_each(|tried| self.tell(tried));
    }

    /// Writes the figures when they have changed, at most once a second unless `now`.
    pub(super) fn tell_metrics(&mut self, now: bool) {
        self.metrics.bundles = self.bundles.kept.len();
        self.metrics.waiting = self.schedule.len();
        let Some(path) = &self.options.metrics else {
            return;
        };
        let recent = self
            .told_at
            .is_some_and(|then| then.elapsed() < METRICS_EVERY);
        if self.told.as_ref() == Some(&self.metrics) || (recent && !now) {
            return;
        }
        if let Err(error) = self.metrics.write(path) {
            let text = format!("cannot write `{}`: {error}", path.display());
            self.log.problem(Level::Error, &text);
        }
        self.told = Some(self.metrics.clone());
        self.told_at = Some(Instant::now());
    }

    /// How long until changed figures are to be written.
    pub(super) fn metrics_wait(&self) -> Option<Duration> {
        let changed = self.options.metrics.is_some() && self.told.as_ref() != Some(&self.metrics);
        let then = self.told_at.filter(|_| changed)?;
        Some(METRICS_EVERY.saturating_sub(then.elapsed()))
    }
}
