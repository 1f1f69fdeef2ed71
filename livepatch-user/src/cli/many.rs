//! One command on several processes: side by side, a line for each, and a summary.

use super::options::Output;
use super::told::{Told, say};
use crate::crew::{self, CrewError};
use crate::guardian;
use crate::interrupt::Interrupted;
use crate::printable;
use crate::report::Count;
use crate::select::Selected;
use crate::status::Status;
use indicatif::{ProgressBar, ProgressStyle};
use livepatch_cli::errln;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

/// The result of an `--all-or-nothing` that was reverted where it had been applied.
pub(super) const TAKEN_BACK: &str = "taken-back";
/// That of one on a process that would have taken the patch, when another one would not.
pub(super) const UNTOUCHED: &str = "untouched";

/// Several processes, and how to go about them.
pub(super) struct Many<'a> {
    /// Which.
    pub(super) targets: &'a [Selected],
    /// How many at a time.
    pub(super) at_once: usize,
    /// How to tell.
    pub(super) output: Output,
}

/// What came of it, by the order of the targets.
pub(super) struct Results(pub(super) Vec<Told>);

impl Many<'_> {
    /// Does the work on each process, and tells each result as it comes unless `quiet`.
    pub(super) fn run(&self, quiet: bool, work: &dyn Fn(Selected) -> Told) -> Results {
        let mut results: Vec<Option<Told>> = vec![None; self.targets.len()];
        let bar = self.bar();
        let job = |index: usize| work(self.targets[index]);
        let mut done = |index: usize, result: Result<Told, CrewError>| {
            let target = self.targets[index];
            let told = result
                .unwrap_or_else(|error| lost(target, &error, !quiet && guardian::task().is_some()));
            if !quiet && !self.output.json {
                let pid = target.pid;
                bar.suspend(|| line(pid.0, &told));
            }
            bar.inc(1);
            results[index] = Some(told);
        };
        crew::run(self.targets.len(), self.at_once, &job, &mut done);
        bar.finish_and_clear();
        let told = results.into_iter();
        Results(
            told.map(|one| one.expect("every job has a result"))
                .collect(),
        )
    }

    /// A progress bar where there is somebody to watch it.
    fn bar(&self) -> ProgressBar {
        if self.output.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(self.targets.len() as u64);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} processes, {elapsed}");
        bar.with_style(style.expect("the template is well-formed"))
    }
}

/// A worker that brought no result; what it did to its process, if it `writes`, is not known.
fn lost(target: Selected, error: &CrewError, writes: bool) -> Told {
    let status = match error {
        CrewError::Killed(_) | CrewError::Ended(_) | CrewError::StuckInside(_) if writes => {
            Status::Broken
        }
        CrewError::Interrupted => {
            let interrupted = Interrupted(target.pid);
            return Told::failure(Some(target.pid), Status::Interrupted, &interrupted, None);
        }
        _ => Status::Error,
    };
    let help = format!("`livepatch list --pid {}` tells its state", target.pid);
    Told::failure(Some(target.pid), status, error, Some(help))
}

/// Tells one result in one line: successes as ever, failures on the standard error.
fn line(pid: i32, told: &Told) {
    if told.status == Status::Done {
        for text in &told.text {
            say(&printable::lines(text));
        }
        return;
    }
    let text = told.text.join(": ").replace('\n', ";");
    let line = format!("{}: process {pid}: {text}", told.result);
    errln!("livepatch: {}", printable::one_line(&line));
}

impl Results {
    /// The worst status.
    pub(super) fn status(&self) -> Status {
        let statuses = self.0.iter().map(|told| told.status);
        statuses.max().unwrap_or(Status::Done)
    }

    /// How many ended how.
    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for told in &self.0 {
            let kind = match (told.status, told.result.as_str()) {
                (Status::Done, "exited") => "exited",
                (Status::Done, TAKEN_BACK) => TAKEN_BACK,
                (Status::Done, UNTOUCHED) => UNTOUCHED,
                (Status::Done, _) => "done",
                (Status::Busy, _) => "busy",
                (Status::Refused, _) => "refused",
                (Status::Error | Status::Usage, _) => "failed",
                (Status::Interrupted, _) => "interrupted",
                (Status::Broken, _) => "broken",
            };
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    /// The line for people.
    pub(super) fn summary(&self) -> String {
        const ORDER: [&str; 9] = [
            "done",
            TAKEN_BACK,
            UNTOUCHED,
            "busy",
            "refused",
            "failed",
            "interrupted",
            "broken",
            "exited",
        ];
        let counts = self.counts();
        let kinds = ORDER
            .iter()
            .filter_map(|kind| Some((kind, counts.get(kind)?)));
        let parts: Vec<String> = kinds
            .map(|(kind, count)| format!("{count} {}", kind.replace('-', " ")))
            .collect();
        format!("{}: {}", Count(self.0.len(), "process"), parts.join(", "))
    }

    /// What to do next, each advice once.
    pub(super) fn tell_help(&self) {
        let helps: BTreeSet<&str> = self
            .0
            .iter()
            .filter_map(|one| one.help.as_deref())
            .collect();
        for help in helps {
            errln!("help: {}", printable::lines(help));
        }
    }

    /// The document for machines.
    pub(super) fn document(&self, status: Status, hidden: usize, notes: &[String]) -> String {
        let facts: Vec<&str> = self
            .0
            .iter()
            .flat_map(|told| &told.facts)
            .map(String::as_str)
            .collect();
        let rest = serde_json::json!({
            "summary": self.counts(),
            "hidden": hidden,
            "notes": notes,
            "status": status.code(),
        });
        // An object that begins with what is JSON already.
        let rest = rest.to_string();
        let document = format!("{{\"results\":[{}],{}", facts.join(","), &rest[1..]);
        printable::json(&document).into_owned()
    }
}
