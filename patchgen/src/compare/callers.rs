//! Changed functions of the kernel that cannot be redirected: their callers change in their stead.
//!
//! Livepatches go through the tracer's call at a function's start, which functions declared `inline` do not have
//! (`notrace`), among them the bodies of many system calls. Where each use of such a function is a call, the callers' new
//! code can call the new one.

use super::Comparison;
use crate::correlate::Correlation;
use crate::object::{AtomId, FunctionId, Object, Role, tables, traced_at};
use crate::pair::{Pair, Users};
use livepatch_bundle::Scope;
use std::collections::BTreeSet;

impl Comparison {
    /// Makes callers changed where a changed function cannot be redirected.
    pub fn spread_to_callers(&mut self, pair: &Pair<'_>, correlation: &Correlation) {
        let mut users = None;
        let mut queue = self.changed();
        while let Some(function) = queue.pop() {
            let entry = correlation.old_of(pair.new.function(function).entry());
            let Some(old) = entry.filter(|old| traced_at(&pair.old, *old).is_none()) else {
                continue;
            };
            let users = users.get_or_insert_with(|| Users::of(&pair.old));
            let Some(callers) = callers(pair, correlation, users, old) else {
                continue;
            };
            self.travelling.insert(function);
            let name = pair.old.label(old);
            for caller in callers {
                if self.change(caller).is_none() {
                    let reason =
                        format!("it calls `{name}`, which changed and cannot be redirected itself");
                    self.changed.insert(caller, reason);
                    queue.push(caller);
                }
            }
        }
    }

    /// Whether a changed function is no replacement itself, but travels with its callers.
    #[must_use]
    pub fn only_travels(&self, new: FunctionId) -> bool {
        self.travelling.contains(&new)
    }
}

/// The new versions of all functions that call an old one; `None` when somebody else may have its address.
fn callers(
    pair: &Pair<'_>,
    correlation: &Correlation,
    users: &Users,
    callee: AtomId,
) -> Option<BTreeSet<FunctionId>> {
    let atom = pair.old.atom(callee);
    let initial = tables::is_initial(pair.old.section_name(callee));
    if atom.scope != Scope::Local || atom.is_global() || initial {
        return None;
    }
    let mut callers = BTreeSet::new();
    for user in users.of_atom(callee) {
        let owner = pair.old.owner(*user)?;
        if !only_calls(&pair.old, *user, callee) {
            return None;
        }
        let passed = tables::is_initial(pair.old.section_name(*user));
        if pair.old.owner(callee) == Some(owner) || passed {
            continue;
        }
        let new = correlation.new_of(pair.old.function(owner).entry())?;
        callers.insert(pair.new.owner(new)?);
    }
    (!callers.is_empty()).then_some(callers)
}

/// Whether code does nothing with a function but call its start.
fn only_calls(object: &Object<'_>, user: AtomId, callee: AtomId) -> bool {
    let mut uses = object.references(user).filter(|link| link.target == callee);
    uses.all(|link| link.at() == 0 && matches!(link.site.role, Role::Call | Role::Jump))
}
