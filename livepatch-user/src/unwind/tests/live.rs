//! One thread asleep (or not) on each kind of stack.

use super::support::build::{lazy, stacks};
use super::support::target::Target;
use crate::unwind::{HitKind, Verdict};

/// Asserts that `function` holds the thread and says how it was found.
#[track_caller]
pub(super) fn busy(target: &Target, function: &str) -> HitKind {
    match target.judge(function) {
        Verdict::Busy { hit, frames } => {
            println!("{hit}");
            assert_eq!(hit.label, function);
            assert!(!frames.is_empty());
            hit.kind
        }
        other => panic!("`{function}`: {other:?}"),
    }
}

/// Asserts that `function` does not hold the thread and that this is known by unwinding.
#[track_caller]
pub(super) fn clear(target: &Target, function: &str) -> usize {
    match target.judge(function) {
        Verdict::Clear {
            frames,
            by_scan: false,
        } => frames,
        other => panic!("`{function}`: {other:?}"),
    }
}

/// Asserts that `function` does not hold the thread as far as a scan can tell.
#[track_caller]
pub(super) fn clear_by_scan(target: &Target, function: &str) {
    let verdict = target.judge(function);
    assert!(
        matches!(verdict, Verdict::Clear { by_scan: true, .. }),
        "`{function}`: {verdict:?}"
    );
}

fn start(compiler: &str, what: &[&str]) -> Target {
    Target::start(&stacks(compiler), what).asleep()
}

const OPTIMIZATIONS: [&str; 5] = [
    "gcc -O2",
    "gcc -O0",
    "gcc -O2 -fno-omit-frame-pointer",
    "gcc -Os -fcf-protection=full",
    "clang -O2",
];

#[test]
fn callers_are_busy_and_others_are_not() {
    for compiler in OPTIMIZATIONS {
        let target = start(compiler, &["nested"]);
        for function in ["inner", "middle", "outer", "asleep"] {
            assert_eq!(busy(&target, function), HitKind::Caller, "{compiler}");
        }
        assert!(clear(&target, "bystander") >= 6, "{compiler}");
        clear(&target, "victim");
    }
}

#[test]
fn a_frame_of_variable_size() {
    for compiler in OPTIMIZATIONS {
        let target = start(compiler, &["alloca", "50"]);
        assert_eq!(busy(&target, "with_alloca"), HitKind::Caller);
        clear(&target, "middle");
    }
}

#[test]
fn deep_recursion() {
    let target = start("gcc -O2", &["deep", "100000"]);
    assert_eq!(busy(&target, "bottom"), HitKind::Caller);
    assert!(clear(&target, "bystander") > 100_000);
}

#[test]
fn code_interrupted_by_a_signal() {
    for what in ["signal", "alternate", "mapped-alternate"] {
        for compiler in ["gcc -O2", "gcc -O0", "gcc -O2 -static"] {
            let target = start(compiler, &[what]);
            assert_eq!(
                busy(&target, "victim"),
                HitKind::Interrupted,
                "{what} {compiler}"
            );
            assert_eq!(
                busy(&target, "around_victim"),
                HitKind::Caller,
                "{what} {compiler}"
            );
            assert_eq!(
                busy(&target, "handler"),
                HitKind::Caller,
                "{what} {compiler}"
            );
            clear(&target, "bystander");
        }
    }
}

/// The return address behind a last call is the next function's.
#[test]
fn a_call_that_does_not_return() {
    let target = start(
        "gcc -O2 -falign-functions=1 -fno-toplevel-reorder",
        &["noreturn"],
    );
    let (dies, next) = (target.function("dies"), target.function("next_door"));
    assert_eq!(dies.end, next.start, "the test needs them side by side");
    assert_eq!(busy(&target, "dies"), HitKind::Caller);
    clear(&target, "next_door");
}

#[test]
fn a_tail_call_leaves_no_frame() {
    let target = start("gcc -O2", &["tail"]);
    clear(&target, "hands_over");
    assert_eq!(busy(&target, "middle"), HitKind::Caller);
}

#[test]
fn a_callback_through_libc() {
    for compiler in [
        "gcc -O2",
        "gcc -O2 -static",
        "gcc -O2 -static-pie",
        "gcc -O2 -no-pie",
    ] {
        let target = start(compiler, &["callback"]);
        assert_eq!(busy(&target, "sorter"), HitKind::Caller, "{compiler}");
        assert_eq!(busy(&target, "compare"), HitKind::Caller, "{compiler}");
        clear(&target, "bystander");
    }
}

#[test]
fn a_symbol_is_being_resolved() {
    let target = Target::start(&lazy(), &[]).asleep();
    assert_eq!(busy(&target, "caller"), HitKind::Caller);
    clear(&target, "_init");
}

#[test]
fn time_is_read_in_the_vdso() {
    let program = stacks("gcc -O2");
    let target = Target::start(&program, &["vdso"]);
    let vdso = super::support::process::images(target.pid);
    let vdso = vdso
        .iter()
        .find(|image| image.label == "[vdso]")
        .expect("it is mapped");
    let (start, end) = vdso.code[0];
    let (mut check, mut inside) = (target.check("clock_loop"), 0);
    for round in 0.. {
        assert!(round < 5000, "it never was in the vdso");
        std::thread::sleep(std::time::Duration::from_millis(1));
        let stopped = target.stop();
        inside += stopped
            .pcs()
            .iter()
            .filter(|pc| (start..end).contains(pc))
            .count();
        let verdict = check
            .judge_many(&stopped.threads, &target.space())
            .remove(0)
            .1;
        assert!(matches!(verdict, Verdict::Busy { .. }), "{verdict:?}");
        check.set_forbidden(vec![target.function("bystander")]);
        let verdict = check
            .judge_many(&stopped.threads, &target.space())
            .remove(0)
            .1;
        assert!(
            matches!(verdict, Verdict::Clear { by_scan: false, .. }),
            "{verdict:?}"
        );
        check.set_forbidden(vec![target.function("clock_loop")]);
        if inside > 3 {
            break;
        }
    }
}

#[test]
fn code_made_at_run_time() {
    let target = start("gcc -O2", &["jit"]);
    assert!(matches!(busy(&target, "through_jit"), HitKind::Word { .. }));
    assert_eq!(busy(&target, "asleep"), HitKind::Caller);
    clear_by_scan(&target, "bystander");
}

/// What the thread would have returned to is lost, and not in use; the frames above are.
#[test]
fn a_return_address_that_is_none() {
    let target = start("gcc -O0", &["smashed"]);
    assert_eq!(busy(&target, "smashed"), HitKind::Caller);
    assert!(matches!(busy(&target, "main"), HitKind::Word { .. }));
    clear_by_scan(&target, "bystander");
}

/// While a coroutine runs, the thread's own stack waits.
#[test]
fn a_coroutine() {
    let target = start("gcc -O2", &["coroutine"]);
    assert_eq!(busy(&target, "coroutine"), HitKind::Caller);
    assert!(matches!(busy(&target, "suspended"), HitKind::Word { .. }));
    clear_by_scan(&target, "bystander");
}
