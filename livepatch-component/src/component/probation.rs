//! Probation: the old version stays beside the new one until that has shown that all is well.

use super::failure::{Operation, OperationError};
use super::switch::Incoming;
use super::{Component, Running};
use crate::clock;
use crate::control::protocol::How;
use crate::control::server::Asker;
use crate::history::Record;
use std::sync::Arc;

/// How often the new version is asked during its probation.
const CHECKS: u64 = 10;

/// A version on probation.
#[derive(Debug)]
pub(super) struct Probation {
    /// The version to go back to.
    pub(super) old: Box<Running>,
    how: How,
    until: u64,
    next: u64,
    step: u64,
}

impl Probation {
    pub(super) fn new(old: Box<Running>, how: &How) -> Self {
        let now = clock::now();
        let step = (how.probation_ns / CHECKS).max(1_000_000);
        Self {
            old,
            how: How {
                probation_ns: 0,
                fresh: false,
                ..how.clone()
            },
            until: now.saturating_add(how.probation_ns),
            next: now.saturating_add(step),
            step,
        }
    }

    /// When the version is asked next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }
}

impl Component {
    /// Asks a version on probation whether all is well, when it is time.
    pub(super) fn look_after_probation(&mut self) {
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
            Err(error) => {
                self.end_probation("probation", vec![error.to_string()], None);
            }
            Ok(()) if is_over => {
                if let Some(probation) = self.probation.take() {
                    self.remember_previous(Arc::clone(&probation.old.file));
                    self.let_go(Some(*probation.old), Vec::new(), None);
                }
            }
            Ok(()) => {}
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
        let from = self.running.file.about.version.clone();
        let to = probation.old.file.about.version.clone();
        let mut record = Record::new(action, Some(&from), &to);
        record.reasons = reasons;
        let how = probation.how;
        let switched = self.switch(Incoming::Loaded(probation.old), &how, &mut record);
        self.conclude(switched, &how, record, asker);
    }
}
