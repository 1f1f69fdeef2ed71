//! Frames in arrays that are left by their rows.

use super::support::program::{
    CLEAR, CLEAR_BY_SCAN, NOWHERE, STACK, TABLES, assert_busy, judge, registers, unwinder,
    with_stack,
};
use crate::unwind::{ForbiddenRange, HitKind, StackCheck, StackSnapshot};
use livepatch_bundle::RunAddr;

#[test]
fn frames_are_left_by_their_rows() {
    // leaf <- pushes (2 words) <- framed (frame pointer 0x150 above) <- outermost
    let sp = STACK + 0x100;
    let (mut space, _) = with_stack(&[0x1110, 0, 0, 0x1210]);
    let mut registers = registers(0x1000, sp);
    registers.rbp = sp + 0x150;
    space.set_word(registers.rbp, 0x7777);
    space.set_word(registers.rbp + 8, 0x1310);
    assert_eq!(judge(NOWHERE, &registers, &space), CLEAR(4));
    assert_busy(
        &judge((0x1000, 0x1100), &registers, &space),
        0x1000,
        HitKind::Running,
    );
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1110,
        HitKind::Caller,
    );
    assert_busy(
        &judge((0x1200, 0x1300), &registers, &space),
        0x1210,
        HitKind::Caller,
    );
    assert_busy(
        &judge((0x1300, 0x13f0), &registers, &space),
        0x1310,
        HitKind::Caller,
    );
}

/// `1200` is the return address of the last call of `pushes`, and the row is the one of that call, too.
#[test]
fn a_return_address_belongs_to_the_call_before_it() {
    let (space, sp) = with_stack(&[0x1200, 0, 0, 0x1310]);
    let registers = registers(0x1000, sp);
    assert_busy(
        &judge((0x1100, 0x1200), &registers, &space),
        0x1200,
        HitKind::Caller,
    );
    assert_eq!(judge((0x1200, 0x1300), &registers, &space), CLEAR(3));
}

#[test]
fn at_a_free_entry_a_thread_is_outside() {
    let (space, sp) = with_stack(&[0x1310]);
    let range = ForbiddenRange::new(RunAddr(0x1000), RunAddr(0x1100), "f").with_free_entry();
    let mut check = StackCheck::new(vec![range], unwinder());
    let mut verdict = |pc| {
        check.judge(
            &registers(pc, sp),
            &mut StackSnapshot::on_demand(&space),
            &space,
        )
    };
    assert!(verdict(0x1000).is_clear());
    assert!(!verdict(0x1001).is_clear());
}

/// `vfork` keeps its return address in a register.
#[test]
fn a_return_address_in_a_register() {
    let (space, sp) = with_stack(&[]);
    let mut registers = registers(0x1700, sp);
    registers.rdi = 0x1310;
    assert_eq!(judge(NOWHERE, &registers, &space), CLEAR(2));
    assert_busy(
        &judge((0x1300, 0x13f0), &registers, &space),
        0x1310,
        HitKind::Caller,
    );
}

#[test]
fn expressions() {
    let (mut space, sp) = with_stack(&[]);
    assert_eq!(
        judge(NOWHERE, &registers(0x1800, sp), &space),
        CLEAR_BY_SCAN(0)
    );
    space.set_word(sp + 8, sp + 0x40); // the frame address
    space.set_word(sp + 0x38, 0x1310); // the return address below it
    assert_eq!(judge(NOWHERE, &registers(0x1900, sp), &space), CLEAR(2));
}

/// handler <- restorer <- framed, interrupted at its first byte
#[test]
fn code_interrupted_by_a_signal_is_exact() {
    for restorer in [0x1400, 0x1500] {
        let (mut space, sp) = with_stack(&[restorer]);
        let context = sp + 8;
        space.set_word(context + 168, 0x1100); // rip
        space.set_word(context + 160, sp + 0x300); // rsp
        space.set_word(sp + 0x300, 0x1310);
        let registers = registers(0x1000, sp);
        assert_eq!(judge((0x1000 + 0xff, 0x1100), &registers, &space), CLEAR(4));
        assert_busy(
            &judge((0x1100, 0x1200), &registers, &space),
            0x1100,
            HitKind::Interrupted,
        );
        assert_busy(
            &judge((0x1300, 0x13f0), &registers, &space),
            0x1310,
            HitKind::Caller,
        );
    }
}

/// A library was closed and another one loaded in its place.
#[test]
fn rows_of_an_image_that_is_gone_are_forgotten() {
    let (mut space, sp) = with_stack(&[0x1310]);
    let mut check = StackCheck::new(Vec::new(), unwinder());
    let threads = [((), registers(0x1000, sp))];
    assert_eq!(check.judge_many(&threads, &space), [((), CLEAR(2))]);
    space.set_word(TABLES + 16, 0);
    assert_eq!(check.judge_many(&threads, &space), [((), CLEAR_BY_SCAN(0))]);
}

#[test]
fn a_rehearsal_prepares_the_rows() {
    let (space, sp) = with_stack(&[0x1110, 0, 0, 0x1310]);
    let mut check = StackCheck::new(Vec::new(), unwinder());
    check.rehearse(&[(RunAddr(0x1000), RunAddr(sp))], &space);
    let known = check.unwinder().known_sites();
    assert_eq!(known, 3);
    check.judge_many(&[((), registers(0x1000, sp))], &space);
    assert_eq!(check.unwinder().known_sites(), known);
}

/// Tops belong to the last call alone: a stop asks about its threads in batches.
#[test]
fn where_the_outermost_frame_begins() {
    let (space, sp) = with_stack(&[0x1110, 0, 0, 0x1310]);
    let mut check = StackCheck::new(Vec::new(), unwinder());
    let unwound = ((), registers(0x1000, sp));
    let scanned = ((), registers(0x1600, sp));
    check.judge_many(&[unwound, scanned], &space);
    let top = Some(RunAddr(sp + 32));
    assert_eq!(check.tops(), [top, None]);
    check.judge_many(&[scanned], &space);
    assert_eq!(check.tops(), [None]);
}
