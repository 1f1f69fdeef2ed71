//! A thread stopped at each of many consecutive instructions: prologues, epilogues, PLT stubs, lazy binding, libc.

use super::support::build::stacks;
use super::support::target::Target;
use crate::unwind::{StackSnapshot, Verdict};
use nix::sys::{
    ptrace,
    wait::{WaitPidFlag, waitpid},
};
use std::collections::HashSet;

/// Instructions to step through: several rounds of `work`, the first of which binds its symbols.
const STEPS: usize = 30_000;

#[test]
fn every_instruction_can_be_unwound() {
    for compiler in [
        "gcc -O2 -Wl,-z,lazy",
        "gcc -O2 -Wl,-z,now -fcf-protection=full",
    ] {
        let program = stacks(compiler);
        let target = Target::start(&program, &["busy"]).asleep();
        let (other, main) = (target.function("bystander"), target.function("main"));
        let mut check = target.check("main");
        let stopped = target.stop();
        let (task, mut registers) = stopped.threads[0];
        registers.rax = 0; // as if `read` had returned at the end of file
        registers.orig_rax = u64::MAX;
        ptrace::setregs(task, registers).expect("it is stopped");
        let mut seen = HashSet::new();
        for step in 0..STEPS {
            ptrace::step(task, None).expect("it is stopped");
            waitpid(task, Some(WaitPidFlag::__WALL)).expect("it stops again");
            let registers = ptrace::getregs(task).expect("it is stopped");
            if !seen.insert(registers.rip) {
                continue; // the row is the same
            }
            let space = target.space();
            let at = format!("{compiler}, step {step}, pc {:#x}", registers.rip);
            check.set_forbidden(vec![other.clone()]);
            let verdict = check.judge(&registers, &mut StackSnapshot::on_demand(&space), &space);
            assert!(
                matches!(verdict, Verdict::Clear { by_scan: false, .. }),
                "{at}: {verdict:?}"
            );
            check.set_forbidden(vec![main.clone()]);
            let verdict = check.judge(&registers, &mut StackSnapshot::on_demand(&space), &space);
            assert!(matches!(verdict, Verdict::Busy { .. }), "{at}: {verdict:?}");
        }
        assert!(
            seen.len() > 1000,
            "{compiler}: only {} instructions",
            seen.len()
        );
    }
}
