//! Which threads are in the functions that change, as far as can be seen while they run.

use crate::commit::space_of;
use crate::process::{Activity, activity, threads};
use crate::report::{Inside, Now};
use crate::session::Session;
use crate::unwind::{Glimpse, StackCheck};
use livepatch_bundle::RunAddr;

/// Looks at the stacks of all threads that sleep. Nothing is stopped.
pub(super) fn glimpse(session: &Session, mut check: StackCheck) -> Now {
    let pid = session.pid();
    let all = threads(pid).unwrap_or_default();
    let place = |tid| match activity(pid, tid) {
        Activity::InSyscall {
            stack, instruction, ..
        }
        | Activity::Blocked { stack, instruction } => {
            Some((tid, (RunAddr(instruction), RunAddr(stack))))
        }
        Activity::Running | Activity::Unknown => None,
    };
    let (asleep, places): (Vec<_>, Vec<_>) = all.iter().filter_map(|&tid| place(tid)).unzip();
    let mut now = Now {
        inside: Vec::new(),
        unseen: all.len() - asleep.len(),
    };
    let seen = check.glimpse(&places, &space_of(&session.memory));
    for (tid, seen) in asleep.into_iter().zip(seen) {
        match seen {
            Glimpse::Inside(function) => now.inside.push(Inside {
                thread: tid.0,
                function,
            }),
            Glimpse::Unseen => now.unseen += 1,
            Glimpse::Outside => {}
        }
    }
    now
}
