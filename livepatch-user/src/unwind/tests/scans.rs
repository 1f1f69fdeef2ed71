//! Stacks in arrays that cannot be unwound.

use super::support::program::{
    ALTERNATE, CLEAR, CLEAR_BY_SCAN, CODE, NOWHERE, STACK, UPROBES, assert_busy, judge, registers,
    space, unwinder, with_stack,
};
use crate::unwind::{ForbiddenRange, HitKind, Reason, StackCheck, Verdict, WalkError};
use livepatch_bundle::RunAddr;

#[test]
fn without_a_row_the_rest_is_scanned() {
    let (space, sp) = with_stack(&[0x1610, 5, 0x1110, 0x1210]);
    let registers = registers(0x1000, sp);
    assert_eq!(judge(NOWHERE, &registers, &space), CLEAR_BY_SCAN(1));
    assert_busy(
        &judge((0x1600, 0x1700), &registers, &space),
        0x1610,
        HitKind::Caller,
    );
    let at = RunAddr(sp + 16);
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1110,
        HitKind::Word { at },
    );
}

/// Words that follow no call are data.
#[test]
fn a_scan_counts_only_return_addresses() {
    let (space, sp) = with_stack(&[0x1118, 0x1200 + 0x23, 0x1230]);
    let registers = registers(0x1600, sp);
    assert_eq!(
        judge((0x1100, 0x1200), &registers, &space),
        CLEAR_BY_SCAN(0)
    );
    let at = RunAddr(sp + 16);
    assert_busy(
        &judge((0x1200, 0x1300), &registers, &space),
        0x1230,
        HitKind::Word { at },
    );
}

/// A jump written over the entry may hide the call before a return address.
#[test]
fn a_scan_counts_any_word_behind_an_entry() {
    let (space, sp) = with_stack(&[0x1205]);
    let registers = registers(0x1600, sp);
    let at = RunAddr(sp);
    assert_busy(
        &judge((0x1200, 0x1300), &registers, &space),
        0x1205,
        HitKind::Word { at },
    );
    assert_eq!(
        judge((0x1100, 0x1204), &registers, &space),
        CLEAR_BY_SCAN(0)
    );
}

#[test]
fn a_scan_looks_at_the_red_zone_and_the_registers() {
    let (mut space, sp) = with_stack(&[]);
    space.set_word(sp - 128, 0x1110);
    let mut registers = registers(0x1600, sp);
    let at = RunAddr(sp - 128);
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1110,
        HitKind::Word { at },
    );
    registers.rdi = 0x1210;
    assert_busy(
        &judge((0x1200, 0x1300), &registers, &space),
        0x1210,
        HitKind::Register,
    );
    registers.rip = 0x1682; // behind a system call
    assert_eq!(
        judge((0x1100, 0x1200), &registers, &space),
        CLEAR_BY_SCAN(0)
    );
}

#[test]
fn a_return_address_that_follows_no_call_is_not_believed() {
    let (space, sp) = with_stack(&[0x1118, 0x1310]);
    let registers = registers(0x1000, sp);
    assert_eq!(judge(NOWHERE, &registers, &space), CLEAR_BY_SCAN(1));
    let verdict = judge((0x1300, 0x13f0), &registers, &space);
    assert_busy(
        &verdict,
        0x1310,
        HitKind::Word {
            at: RunAddr(sp + 8),
        },
    );
    let Verdict::Busy { hit, .. } = verdict else {
        unreachable!()
    };
    assert_eq!(
        hit.gap,
        Some(WalkError::NotAfterCall {
            pc: RunAddr(0x1118)
        })
    );
}

#[test]
fn unknown_code_is_scanned_from_its_callee_on() {
    let (space, sp) = with_stack(&[0x40110, 0x1110]);
    let registers = registers(0x1000, sp);
    let at = RunAddr(sp + 8);
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1110,
        HitKind::Word { at },
    );
}

#[test]
fn a_frame_must_lie_above_its_callee() {
    let (mut space, sp) = with_stack(&[0x1110, 0x1210]);
    let mut registers = registers(0x1200, sp);
    registers.rbp = sp - 32; // the frame address is 16 below the stack pointer
    space.set_word(sp - 24, 0x1310);
    assert_eq!(judge(NOWHERE, &registers, &space), CLEAR_BY_SCAN(0));
    let verdict = judge((0x1100, 0x1200), &registers, &space);
    assert_busy(&verdict, 0x1110, HitKind::Word { at: RunAddr(sp) });
}

/// The same, but the handler cannot be unwound and the interrupted stack is another.
#[test]
fn a_scan_finds_interrupted_code() {
    for restorer in [0x1400, 0x1500] {
        let (mut space, sp) = with_stack(&[3, restorer]);
        let context = sp + 16;
        space.set_word(context + 168, 0x1188); // rip, which follows no call
        space.set_word(context + 160, ALTERNATE + 0x800); // rsp
        space.set_word(ALTERNATE + 0x808, 0x1210);
        let registers = registers(0x1600, sp);
        assert_busy(
            &judge((0x1100, 0x1200), &registers, &space),
            0x1188,
            HitKind::Interrupted,
        );
        let at = RunAddr(ALTERNATE + 0x808);
        assert_busy(
            &judge((0x1200, 0x1300), &registers, &space),
            0x1210,
            HitKind::Word { at },
        );
        assert_eq!(
            judge((0x1300, 0x13f0), &registers, &space),
            CLEAR_BY_SCAN(0)
        );
    }
}

/// On a stack that is not the thread's own, what lies below may be another coroutine's; its own waits elsewhere.
#[test]
fn a_foreign_stack_is_searched_whole_and_the_own_one_too() {
    let mut space = space();
    space.set_word(ALTERNATE + 0x10, 0x1110);
    space.set_word(STACK + 0x20, 0x1210);
    let registers = registers(0x1600, ALTERNATE + 0x800);
    let at = RunAddr(ALTERNATE + 0x10);
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1110,
        HitKind::Word { at },
    );
    let at = RunAddr(STACK + 0x20);
    assert_busy(
        &judge((0x1200, 0x1300), &registers, &space),
        0x1210,
        HitKind::Word { at },
    );
}

/// A thread other than the first has its control block above its stack; what lies below is left over.
#[test]
fn a_thread_with_its_own_stack_is_searched_from_its_stack_pointer() {
    let mut space = space();
    space.set_word(ALTERNATE + 0x10, 0x1110);
    let mut second = registers(0x1600, ALTERNATE + 0x800);
    second.fs_base = ALTERNATE + 0xf00;
    let first = registers(0x1310, STACK + 0x800);
    let range = ForbiddenRange::new(RunAddr(0x1100), RunAddr(0x1200), "f");
    let mut check = StackCheck::new(vec![range], unwinder());
    let verdicts = check.judge_many(&[(1, first), (2, second)], &space);
    assert_eq!(verdicts, [(1, CLEAR(1)), (2, CLEAR_BY_SCAN(0))]);
    let verdicts = check.judge_many(&[(2, second)], &space);
    assert!(!verdicts[0].1.is_clear(), "{verdicts:?}");
}

#[test]
fn what_uprobes_hide_is_unknown() {
    let (space, sp) = with_stack(&[UPROBES + 0x10]);
    for pc in [0x1000, 0x1600, UPROBES + 0x20] {
        let verdict = judge(NOWHERE, &registers(pc, sp), &space);
        let is_uprobe = matches!(
            verdict,
            Verdict::Unknown {
                reason: Reason::Uprobe { .. },
                ..
            }
        );
        assert!(is_uprobe, "{pc:#x}: {verdict:?}");
    }
}

#[test]
fn threads_in_strange_places_are_unknown() {
    let (space, sp) = with_stack(&[]);
    let mut compatible = registers(0x1000, sp);
    compatible.cs = 0x23;
    for registers in [
        compatible,
        registers(0x1600, 0x9000),
        registers(0x1600, sp + 4),
        registers(0x1600, CODE + 0x100),
        registers(0x1000, 0x9000),
    ] {
        let verdict = judge(NOWHERE, &registers, &space);
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    }
}

/// A coroutine's stack ends, too, but the thread's own waits.
#[test]
fn a_stack_that_ends_where_no_thread_starts_is_not_all() {
    for end in [0, 0x1a10] {
        let mut space = space();
        space.set_word(ALTERNATE + 0x800, end);
        space.set_word(STACK + 0x20, 0x1210);
        let registers = registers(0x1000, ALTERNATE + 0x800);
        let at = RunAddr(STACK + 0x20);
        let verdict = judge((0x1200, 0x1300), &registers, &space);
        assert_busy(&verdict, 0x1210, HitKind::Word { at });
        let verdict = judge(NOWHERE, &registers, &space);
        assert!(matches!(verdict, Verdict::Clear { by_scan: true, .. }));
    }
}
