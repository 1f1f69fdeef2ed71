//! Hooks of `livepatch.h` as callbacks of the livepatch core (`Documentation/livepatch/callbacks.rst`).
//!
//! The core calls one function of an object in each phase, and nothing while all tasks stand: it never has them all stand.

use super::code::Code;
use super::file::Sec;
use crate::closure::Closure;
use crate::program::Program;
use crate::refusal::Refusal;
use livepatch_bundle::Phase;

/// The member of `struct klp_callbacks` for a phase.
fn member(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::PreApply => Some("pre_patch"),
        Phase::PostApply => Some("post_patch"),
        Phase::PreRevert => Some("pre_unpatch"),
        Phase::PostRevert => Some("post_unpatch"),
        Phase::AtApply | Phase::AtRevert => None,
    }
}

/// What speaks against the hooks.
pub(super) fn refusals(program: &Program<'_>, closure: &Closure<'_>) -> Vec<Refusal> {
    let mut found = Vec::new();
    for (index, hook) in closure.hooks.iter().enumerate() {
        let phase = hook.phase;
        let several = closure.hooks[..index]
            .iter()
            .any(|other| other.phase == phase);
        let reason = if member(phase).is_none() {
            format!(
                "the kernel has no moment for an {phase} hook: its livepatch core never has all tasks stand"
            )
        } else if several {
            format!("the kernel calls one {phase} hook, and there is another")
        } else {
            continue;
        };
        found.push(Refusal::new(program, hook.function, reason));
    }
    found
}

/// The callbacks, by member.
pub(super) fn of(code: &Code<'_, '_>) -> Vec<(&'static str, (Sec, u64))> {
    let hooks = code.closure.hooks.iter();
    hooks
        .filter_map(|hook| Some((member(hook.phase)?, *code.places.get(&hook.function)?)))
        .collect()
}
