//! Programs with no call-frame information, or with some.

use super::live::{busy, clear, clear_by_scan};
use super::support::build::stacks;
use super::support::target::Target;
use crate::unwind::HitKind;

const NO_TABLES: &str = "gcc -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables";

#[test]
fn without_tables_every_word_is_looked_at() {
    let target = Target::start(&stacks(NO_TABLES), &["nested"]).asleep();
    for function in ["middle", "outer", "inner"] {
        assert!(matches!(busy(&target, function), HitKind::Word { .. }));
    }
    clear_by_scan(&target, "bystander");
}

/// The interrupted code is found by the signal frame, wherever the handler's stack is.
#[test]
fn without_tables_interrupted_code_is_found() {
    for what in ["signal", "alternate", "mapped-alternate"] {
        for compiler in [
            NO_TABLES,
            "gcc -O2 -static -fno-asynchronous-unwind-tables -fno-unwind-tables",
        ] {
            let target = Target::start(&stacks(compiler), &[what]).asleep();
            let kind = busy(&target, "victim");
            assert!(
                matches!(kind, HitKind::Interrupted),
                "{what} {compiler} {kind:?}"
            );
            let kind = busy(&target, "around_victim");
            assert!(
                matches!(kind, HitKind::Word { .. }),
                "{what} {compiler} {kind:?}"
            );
            clear_by_scan(&target, "bystander");
        }
    }
}

/// Debian's musl has next to no call-frame information, not even for the system call that a thread sleeps in.
#[test]
fn musl() {
    for compiler in ["musl-gcc -O2", "musl-gcc -O2 -static"] {
        let target = Target::start(&stacks(compiler), &["nested"]).asleep();
        let kind = busy(&target, "middle");
        assert!(matches!(kind, HitKind::Word { .. }), "{compiler}");
        clear_by_scan(&target, "bystander");
        let target = Target::start(&stacks(compiler), &["callback"]).asleep();
        busy(&target, "sorter");
        clear_by_scan(&target, "bystander");
        for what in ["signal", "alternate", "mapped-alternate"] {
            let target = Target::start(&stacks(compiler), &[what]).asleep();
            assert_eq!(busy(&target, "victim"), HitKind::Interrupted, "{compiler}");
            let kind = busy(&target, "around_victim");
            assert!(matches!(kind, HitKind::Word { .. }), "{compiler}");
            clear_by_scan(&target, "bystander");
        }
    }
}

#[test]
fn static_programs() {
    for compiler in ["gcc -O2 -static", "gcc -O2 -static-pie -fPIE"] {
        let target = Target::start(&stacks(compiler), &["nested"]).asleep();
        assert_eq!(busy(&target, "middle"), HitKind::Caller, "{compiler}");
        clear(&target, "bystander");
    }
}
