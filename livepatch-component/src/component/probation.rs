//! Probation: the old version stays beside the new one until that has shown that all is well.

use super::close::Ending;
use super::failure::{Operation, OperationError};
use super::switch::Incoming;
use super::{Component, Running};
use crate::clock;
use crate::control::protocol::How;
use crate::control::server::Asker;
use crate::decision::{Decision, Verdict};
use crate::history::Record;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// A version on probation.
#[derive(Debug)]
pub(super) struct Probation {
    /// The version to go back to.
    pub(super) old: Box<Running>,
    how: How,
    /// Of a group, until that is decided.
    undecided: Option<Undecided>,
    until: u64,
    next: u64,
    step: u64,
}

/// An upgrade of a group that may be taken back yet.
#[derive(Debug)]
struct Undecided {
    /// Who decides, and goes when that is done.
    asker: Asker,
    /// Where that is written down.
    decision: Decision,
    /// What follows if it stands.
    then: How,
}

/// There is nothing to let stand.
#[derive(Debug, Error)]
#[error("no upgrade waits for this connection's decision")]
pub(super) struct NothingToDecide;

impl Probation {
    pub(super) fn new(old: Box<Running>, how: &How, asker: Option<Asker>) -> Self {
        let undecided = asker.zip(how.decision.clone());
        let mut probation = Self {
            old,
            how: How {
                probation_ns: 0,
                decision: None,
                fresh: false,
                ..how.clone()
            },
            undecided: undecided.map(|(asker, decision)| Undecided {
                asker,
                decision: Decision::at(decision),
                then: how.clone(),
            }),
            until: u64::MAX,
            next: u64::MAX,
            step: 0,
        };
        if probation.undecided.is_none() {
            probation.begin(how);
        }
        probation
    }

    fn begin(&mut self, how: &How) {
        let now = clock::now();
        let step = u64::try_from(how.between_checks().as_nanos());
        self.step = step.unwrap_or(u64::MAX).max(1_000_000);
        self.until = now.saturating_add(how.probation_ns);
        self.next = now.saturating_add(self.step).min(self.until);
    }

    /// When the version is asked next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// What decides on it, until that is known.
    pub(super) fn undecided(&self) -> Option<&Decision> {
        self.undecided.as_ref().map(|it| &it.decision)
    }
}

impl Component {
    /// Asks a version on probation whether all is well, when it is time.
    pub(super) fn look_after_probation(&mut self) {
        self.look_for_a_decision();
        let now = clock::now();
        let Some(probation) = self.probation.as_mut().filter(|it| it.next <= now) else {
            return;
        };
        probation.next = now
            .saturating_add(probation.step)
            .min(probation.until.max(now + 1));
        let is_over = now >= probation.until;
        self.services.take_failure();
        let result = self.running.loaded.health(&self.table, self.data);
        let verdict = OperationError::of(Operation::Health, result, self.services.take_failure());
        match verdict {
            Err(error) => self.end_probation("probation", vec![error.to_string()], None),
            Ok(()) if is_over => self.pass_probation(None),
            Ok(()) => self.reassure_standby(),
        }
    }

    /// Whoever decides on a group may have gone: then what is written counts, and where nothing is, it is off.
    fn look_for_a_decision(&mut self) {
        let undecided = self.probation.as_ref().and_then(|it| it.undecided.as_ref());
        let Some(undecided) = undecided.filter(|it| !self.server.has(it.asker)) else {
            return;
        };
        // Where nothing can be written, nothing was: whoever decides is gone.
        let verdict = undecided.decision.make(Verdict::Off);
        if matches!(verdict, Ok(Verdict::Stands)) {
            self.decide(None);
        } else {
            let reason = "whoever upgraded the group has gone before all of it was done";
            self.end_probation("rollback", vec![reason.to_owned()], None);
        }
    }

    /// Lets an upgrade of a group stand, as whoever upgraded it asks.
    pub(super) fn commit(&mut self, from: Asker) -> Result<(), NothingToDecide> {
        let undecided = self.probation.as_ref().and_then(|it| it.undecided.as_ref());
        if undecided.is_none_or(|undecided| undecided.asker != from) {
            return Err(NothingToDecide);
        }
        self.decide(Some(from));
        Ok(())
    }

    /// Takes an upgrade of a group back, as whoever upgraded it asks.
    pub(super) fn call_off(&mut self, from: Asker) -> Result<(), NothingToDecide> {
        let undecided = self.probation.as_ref().and_then(|it| it.undecided.as_ref());
        if undecided.is_none_or(|undecided| undecided.asker != from) {
            return Err(NothingToDecide);
        }
        self.end_probation("rollback", Vec::new(), Some(from));
        Ok(())
    }

    /// Makes sure that nobody lets the group stand that this upgrade is of; what was decided by now holds.
    pub(super) fn veto(&self) -> io::Result<Verdict> {
        let undecided = self.probation.as_ref().and_then(Probation::undecided);
        undecided.map_or(Ok(Verdict::Off), |decision| decision.make(Verdict::Off))
    }

    /// Lets the upgrade stand; `asker` is told once that is noted.
    pub(super) fn decide(&mut self, asker: Option<Asker>) {
        let Some(probation) = &mut self.probation else {
            return;
        };
        let ending = asker.map(Ending::of_decision);
        match probation.undecided.take() {
            Some(Undecided { then, .. }) if then.probation_ns > 0 => {
                probation.begin(&then);
                self.let_go(None, Vec::new(), ending);
            }
            _ => self.pass_probation(ending),
        }
    }

    fn pass_probation(&mut self, ending: Option<Ending>) {
        self.dismiss_standby();
        if let Some(probation) = self.probation.take() {
            self.remember_previous(Arc::clone(&probation.old.file));
            self.let_go(Some(*probation.old), Vec::new(), ending);
        }
    }

    /// Ends a probation by going back.
    pub(super) fn end_probation(
        &mut self,
        action: &str,
        reasons: Vec<String>,
        asker: Option<Asker>,
    ) {
        let Some(probation) = self.probation.take() else {
            return;
        };
        self.dismiss_standby();
        let from = self.running.file.about.version.clone();
        let to = probation.old.file.about.version.clone();
        let mut record = Record::new(action, Some(&from), &to);
        record.reasons = reasons;
        let how = probation.how;
        let switched = self.switch(Incoming::Loaded(probation.old), &how, &mut record);
        self.conclude(switched, &how, record, asker);
    }
}
