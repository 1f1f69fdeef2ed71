// SPDX-License-Identifier: GPL-2.0
//! The policy on a kernel made of arrays: its tasks are lists of addresses, and each step of it can be told to fail.

use crate::command::{BadCommand, Command};
use crate::kernel::{Errno, Kernel, Means};
use crate::name::Name;
use crate::policy::{Done, Error, Policy};
use crate::report::Report;
use crate::walk::{Blocker, Cause, Task, Walk};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

const APPLY: &str = "apply fix new 100\nfunction 1000 40 9000 50 f\nfunction 2000 20 9050 10 g\nbusy 3000 8 f.cold\nend\n";
const REVERT: &str = "revert fix 100\nend\n";

/// A kernel with functions at 0x1000 and 0x2000, and a module `new` with code at 0x9000.
#[derive(Default)]
struct Array {
    /// Stacks that the next stops see; the last one stays.
    stacks: Vec<Vec<usize>>,
    hooks: BTreeMap<usize, (usize, usize, usize)>,
    pinned: BTreeSet<String>,
    on: BTreeSet<usize>,
    clock: u64,
    settled: usize,
    fail_hook: Option<(usize, i32)>,
    fail_unhook: bool,
    fail_stop: bool,
    no_tasks: bool,
    unreliable: bool,
    /// What happened, in order.
    log: Vec<&'static str>,
}

impl Kernel for Array {
    fn module_text(&mut self, module: &str) -> Option<Range<usize>> {
        (module == "new").then_some(0x9000..0xa000)
    }
    fn pin(&mut self, module: &str) -> Result<(), Errno> {
        assert!(self.pinned.insert(module.into()));
        Ok(())
    }
    fn unpin(&mut self, module: &str) {
        assert!(self.pinned.remove(module));
        self.log.push("unpin");
    }
    fn is_entry(&mut self, address: usize) -> bool {
        [0x1000, 0x2000].contains(&address)
    }
    fn hook(&mut self, slot: usize, patch: usize, old: usize, new: usize) -> Result<Means, Errno> {
        assert!(!self.on.contains(&patch), "hooked with the switch on");
        if let Some((_, errno)) = self
            .fail_hook
            .filter(|(which, _)| *which == self.hooks.len())
        {
            return Err(Errno(errno));
        }
        assert!(self.hooks.insert(slot, (patch, old, new)).is_none());
        Ok(if old == 0x2000 {
            Means::Kprobe
        } else {
            Means::Ftrace
        })
    }
    fn unhook(&mut self, slot: usize) -> Result<(), Errno> {
        if self.fail_unhook {
            return Err(Errno(12));
        }
        assert!(self.hooks.remove(&slot).is_some());
        self.log.push("unhook");
        Ok(())
    }
    fn stop(&mut self, walk: &mut Walk<'_>, switch: Option<(usize, bool)>) -> Result<(), Errno> {
        self.log.push("stop");
        if self.fail_stop {
            return Err(Errno(12));
        }
        let stack = if self.stacks.len() > 1 {
            self.stacks.remove(0)
        } else {
            self.stacks.first().cloned().unwrap_or_default()
        };
        if !self.no_tasks {
            walk.task(Task {
                pid: 7,
                comm: name("dd"),
            });
        }
        let _ = stack.iter().all(|address| walk.frame(*address));
        if self.unreliable {
            walk.object(Cause::Unreliable);
        }
        if let Some((patch, on)) = switch.filter(|_| walk.is_clear()) {
            if on {
                self.on.insert(patch)
            } else {
                self.on.remove(&patch)
            };
        }
        Ok(())
    }
    fn settle(&mut self) {
        self.settled += 1;
        self.log.push("settle");
    }
    fn pause(&mut self) {
        self.clock += 20;
    }
    fn now(&mut self) -> u64 {
        self.clock
    }
}

impl Array {
    fn is_untouched(&self) -> bool {
        self.hooks.is_empty() && self.pinned.is_empty() && self.on.is_empty()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("short")
}

fn applied() -> (Policy, Array) {
    let (mut policy, mut kernel) = (Policy::new(), Array::default());
    policy
        .run(&mut kernel, APPLY.as_bytes())
        .expect("nothing is in the way");
    (policy, kernel)
}

/// A command that must fail and leave nothing behind.
fn refused(kernel: &mut Array, command: &str) -> Error {
    let mut policy = Policy::new();
    let error = policy.run(kernel, command.as_bytes()).expect_err("refused");
    assert!(kernel.is_untouched() && policy.is_empty(), "{error:?}");
    error
}

fn show(policy: &Policy) -> String {
    let mut text = String::new();
    policy.show(&mut text).expect("a string has room");
    text
}

#[test]
fn all_functions_are_switched_at_once() {
    let (policy, kernel) = applied();
    assert_eq!(kernel.hooks[&0], (0, 0x1000, 0x9000));
    assert_eq!(kernel.hooks[&1], (0, 0x2000, 0x9050));
    assert!(kernel.on.contains(&0) && kernel.pinned.contains("new"));
    let text = "patch fix new enabled\nfunction 1000 9000 ftrace f\nfunction 2000 9050 kprobe g\n";
    assert_eq!(show(&policy), text);
}

#[test]
fn a_revert_leaves_nothing() {
    let (mut policy, mut kernel) = applied();
    kernel.log.clear();
    let done = policy.run(&mut kernel, REVERT.as_bytes());
    assert_eq!(
        done,
        Ok(Done {
            functions: 2,
            stops: 1,
            tasks: 1
        })
    );
    assert!(kernel.is_untouched() && policy.is_empty() && show(&policy).is_empty());
    let order = [
        "stop", "unhook", "unhook", "settle", "stop", "settle", "unpin",
    ];
    assert_eq!(kernel.log, order);
    assert_eq!(
        policy.run(&mut kernel, REVERT.as_bytes()),
        Err(Error::NoPatch)
    );
}

#[test]
fn a_task_in_old_code_is_waited_for() {
    let mut kernel = Array {
        stacks: vec![vec![0x500, 0x1004], vec![0x3007], vec![0x500]],
        ..Array::default()
    };
    let done = Policy::new()
        .run(&mut kernel, APPLY.as_bytes())
        .expect("it left in time");
    assert_eq!((done.stops, kernel.clock), (3, 40));
}

#[test]
fn a_task_that_stays_is_named_and_nothing_changes() {
    // A return address after a final call is the first byte behind the function.
    for inside in [0x1000, 0x103f, 0x1040, 0x2010, 0x3000] {
        let mut kernel = Array {
            stacks: vec![vec![0x500, inside]],
            ..Array::default()
        };
        let error = refused(&mut kernel, APPLY);
        let task = Task {
            pid: 7,
            comm: name("dd"),
        };
        assert_eq!(
            error,
            Error::Busy(Blocker {
                task,
                cause: Cause::InUse(inside)
            })
        );
        assert!(kernel.clock >= 100);
    }
}

#[test]
fn a_stack_that_cannot_be_followed_is_in_the_way() {
    let mut kernel = Array {
        unreliable: true,
        ..Array::default()
    };
    let error = refused(&mut kernel, APPLY);
    assert!(matches!(
        error,
        Error::Busy(Blocker {
            cause: Cause::Unreliable,
            ..
        })
    ));
}

#[test]
fn a_stop_that_shows_no_task_proves_nothing() {
    let mut kernel = Array {
        no_tasks: true,
        ..Array::default()
    };
    assert_eq!(refused(&mut kernel, APPLY), Error::Stop(Errno(5)));
    let mut kernel = Array {
        fail_stop: true,
        ..Array::default()
    };
    assert_eq!(refused(&mut kernel, APPLY), Error::Stop(Errno(12)));
}

#[test]
fn a_hook_that_fails_takes_the_others_out() {
    for which in [0, 1] {
        let mut kernel = Array {
            fail_hook: Some((which, 16)),
            ..Array::default()
        };
        assert_eq!(
            refused(&mut kernel, APPLY),
            Error::Taken(name(["f", "g"][which]))
        );
        let mut kernel = Array {
            fail_hook: Some((which, 22)),
            ..Array::default()
        };
        assert!(matches!(
            refused(&mut kernel, APPLY),
            Error::Hook(_, Errno(22))
        ));
    }
}

#[test]
fn every_bound_is_checked_first() {
    for (from, to) in [
        (" new ", " other "),
        ("9000 50", "8fff 50"),
        ("9000 50", "9fff 50"),
        ("function 1000", "function 1001"),
        ("function 2000 20", "function 1000 20"),
    ] {
        let mut kernel = Array::default();
        let error = refused(&mut kernel, &APPLY.replace(from, to));
        assert!(kernel.log.is_empty(), "{error:?} after {:?}", kernel.log);
    }
}

#[test]
fn a_function_has_one_redirect() {
    let (mut policy, mut kernel) = applied();
    assert_eq!(
        policy.run(&mut kernel, APPLY.as_bytes()),
        Err(Error::Exists)
    );
    let other = APPLY.replace(" fix ", " other ");
    assert_eq!(
        policy.run(&mut kernel, other.as_bytes()),
        Err(Error::Taken(name("f")))
    );
    assert_eq!(kernel.hooks.len(), 2);
}

#[test]
fn a_task_in_new_code_keeps_it_in_force() {
    let (mut policy, mut kernel) = applied();
    kernel.stacks = vec![vec![0x9004]];
    let error = policy.run(&mut kernel, REVERT.as_bytes());
    assert!(matches!(error, Err(Error::Busy(_))));
    assert!(kernel.on.contains(&0) && kernel.hooks.len() == 2 && !policy.is_empty());
}

#[test]
fn a_task_that_slipped_in_keeps_the_module() {
    let (mut policy, mut kernel) = applied();
    // It was between the hook and the new code in the first stop.
    kernel.stacks = vec![vec![0x500], vec![0x9004]];
    let error = policy.run(&mut kernel, REVERT.as_bytes());
    assert!(matches!(error, Err(Error::Draining(_))));
    assert!(kernel.hooks.is_empty() && kernel.on.is_empty() && kernel.pinned.contains("new"));
    assert!(show(&policy).starts_with("patch fix new draining\nfunction 1000 9000 gone f\n"));
    kernel.stacks = vec![vec![0x500]];
    assert!(policy.run(&mut kernel, REVERT.as_bytes()).is_ok());
    assert!(kernel.is_untouched() && policy.is_empty());
}

#[test]
fn a_hook_that_stays_is_told_and_tried_again() {
    let (mut policy, mut kernel) = applied();
    kernel.fail_unhook = true;
    let error = policy.run(&mut kernel, REVERT.as_bytes());
    assert_eq!(error, Err(Error::Unhook(name("f"), Errno(12))));
    assert!(kernel.on.is_empty() && kernel.pinned.contains("new"));
    kernel.fail_unhook = false;
    assert!(policy.run(&mut kernel, REVERT.as_bytes()).is_ok() && kernel.is_untouched());
}

#[test]
fn a_module_on_its_way_out_takes_its_redirects_along() {
    let (mut policy, mut kernel) = applied();
    policy.module_going(&mut kernel, &(0x1f00..0x2100));
    assert_eq!(kernel.hooks.len(), 1);
    assert!(show(&policy).contains("2000 9050 gone g"));
    assert!(policy.run(&mut kernel, REVERT.as_bytes()).is_ok() && kernel.is_untouched());
}

#[test]
fn commands_are_read_as_hostile_input() {
    for bad in [
        "",
        "end\n",
        "apply\nend\n",
        "apply fix new 100\nend\n",
        "apply fix new 100 more\nfunction 1000 40 9000 50 f\nend\n",
        "apply fix new 600001\nfunction 1000 40 9000 50 f\nend\n",
        "apply fix new 100\nfunction 1000 40 9000 50 f\n",
        "apply fix new 100\nfunction 1000 0 9000 50 f\nend\n",
        "apply fix new 100\nfunction 0 40 9000 50 f\nend\n",
        "apply fix new 100\nfunction ffffffffffffffff 40 9000 50 f\nend\n",
        "apply fix new 100\nfunction 1000 100001 9000 50 f\nend\n",
        "apply fix new 100\nfunction 1000 40 9000 50\nend\n",
        "apply fix new 100\nfunction 1000 40 9000 50 f g\nend\n",
        "apply fix new 100\nfunction +1000 40 9000 5g f\nend\n",
        "apply fix new 100\nhack 1000 40\nend\n",
        "revert fix 100\nfunction 1000 40 9000 50 f\nend\n",
        "revert  100\nend\n",
    ] {
        assert!(Command::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(Command::parse(&[0xff, b'\n']), Err(BadCommand::NoText));
    let long = format!("apply {} new 1\nfunction 1 1 1 1 f\nend\n", "x".repeat(64));
    assert_eq!(Command::parse(long.as_bytes()), Err(BadCommand::Name));
}

#[test]
fn every_cut_of_a_command_is_refused_or_the_command() {
    for end in 0..APPLY.len() {
        assert!(Command::parse(&APPLY.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn reports_say_what_happened_on_one_line() {
    let done = Done {
        functions: 2,
        stops: 1,
        tasks: 63,
    };
    assert_eq!(
        Report(Ok(done)).to_string(),
        "done functions=2 stops=1 tasks=63\n"
    );
    let task = Task {
        pid: 7,
        comm: Name::of_field(b"a\nb\0\0rest"),
    };
    let cause = Cause::InUse(0x1004);
    let text = Report(Err(Error::Busy(Blocker { task, cause }))).to_string();
    assert_eq!(
        text,
        "busy pid=7 comm=\"a\\nb\": at 0x1004, in code that may be on no stack\n"
    );
    assert_eq!(text.lines().count(), 1);
}
