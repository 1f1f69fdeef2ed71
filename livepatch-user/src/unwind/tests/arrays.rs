//! The check on arrays: a program of a few functions, and stacks written by hand.
//!
//!     1000 leaf     nothing pushed: the frame address is rsp+8
//!     1100 pushes   after 4 bytes, 16 bytes pushed, rbx among them
//!     1200 framed   the frame address is rbp+16
//!     1300 outermost
//!     1400 restorer of signal handlers, with tables; 1500 the same without
//!     1600 no tables; a system call at 1680
//!     1700 keeps its return address in rdi
//!     1800 an expression that never ends; 1900 its frame address is a word of the stack

use super::support::array::ArraySpace;
use super::support::tables::{Tables, cfa};
use crate::memory::Registers;
use crate::unwind::{
    ForbiddenRange, HitKind, ImageSpec, Reason, RegionKind, StackCheck, StackSnapshot, TableSource,
    Unwinder, Verdict, WalkError,
};
use livepatch_bundle::RunAddr;

const CODE: u64 = 0x1000;
const TABLES: u64 = 0x10000;
const STACK: u64 = 0x20000;
const ALTERNATE: u64 = 0x30000;
const OTHER_CODE: u64 = 0x40000;
const UPROBES: u64 = 0x50000;

const RSP: u8 = 7;
const RIP: u8 = 16;

/// Code whose every 16 bytes end in a call, so that an address behind such a block may be a return address.
fn code() -> Vec<u8> {
    let mut code = vec![0x90; 0x1000];
    for block in code.chunks_mut(16) {
        block[11] = 0xe8;
    }
    code[0x400..0x409].copy_from_slice(&[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]);
    code[0x680..0x682].copy_from_slice(&[0x0f, 0x05]);
    code[0x500..0x507].copy_from_slice(&[0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]);
    code
}

fn tables() -> Vec<u8> {
    let saved_at = |distance: u16| {
        let low = (distance & 0x7f) as u8 | 0x80;
        vec![0x77, low, (distance >> 7) as u8] // DW_OP_breg7 distance
    };
    let deref = |distance| [saved_at(distance), vec![0x06]].concat();
    Tables::default()
        .function(0x1000, 0x1100, false, &[])
        .function(
            0x1100,
            0x1200,
            false,
            &[cfa::advance(4), cfa::def(RSP, 24), cfa::saved(3, 2)],
        )
        .function(0x1200, 0x1300, false, &[cfa::def(6, 16), cfa::saved(6, 2)])
        .function(0x1300, 0x1400, false, &[cfa::undefined(RIP)])
        .function(
            0x13ff,
            0x1410,
            true,
            &[
                cfa::def_expression(&deref(160)),
                cfa::expression(RIP, &saved_at(168)),
                cfa::expression(6, &saved_at(120)),
            ],
        )
        .function(
            0x1700,
            0x1800,
            false,
            &[cfa::def(RSP, 0), cfa::in_register(RIP, 5)],
        )
        .function(
            0x1800,
            0x1900,
            false,
            &[cfa::def_expression(&[0x2f, 0xfd, 0xff])],
        )
        .function(
            0x1900,
            0x1a00,
            false,
            &[cfa::def_expression(&[0x77, 8, 0x06]), cfa::value(3, 1)],
        )
        .finish()
}

fn space() -> ArraySpace {
    ArraySpace::default()
        .with(CODE, code(), "r-x")
        .with(TABLES, tables(), "r--")
        .with_kind(STACK, vec![0; 0x1000], "rw-", RegionKind::Stack)
        .with(ALTERNATE, vec![0; 0x1000], "rw-")
        .with(OTHER_CODE, code(), "r-x")
        .with_kind(UPROBES, vec![0xcc; 0x1000], "--x", RegionKind::Uprobes)
}

fn unwinder() -> Unwinder {
    Unwinder::new(vec![ImageSpec {
        label: "program".to_owned(),
        code: vec![(RunAddr(CODE), RunAddr(CODE + 0x1000))],
        bias: 0,
        tables: TableSource::EhFrame {
            start: RunAddr(TABLES),
            len: tables().len(),
        },
    }])
}

fn registers(pc: u64, sp: u64) -> Registers {
    let mut registers = zeroed();
    registers.rip = pc;
    registers.rsp = sp;
    registers.cs = 0x33;
    registers
}

fn zeroed() -> Registers {
    Registers {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        rbp: 0,
        rbx: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rax: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        orig_rax: 0,
        rip: 0,
        cs: 0,
        eflags: 0,
        rsp: 0,
        ss: 0,
        fs_base: 0,
        gs_base: 0,
        ds: 0,
        es: 0,
        fs: 0,
        gs: 0,
    }
}

/// Space with these words on the stack from `STACK + 0x100`, and the stack pointer there.
fn with_stack(words: &[u64]) -> (ArraySpace, u64) {
    let mut space = space();
    let sp = STACK + 0x100;
    for (address, word) in (sp..).step_by(8).zip(words) {
        space.set_word(address, *word);
    }
    (space, sp)
}

fn judge(forbidden: (u64, u64), registers: &Registers, space: &ArraySpace) -> Verdict {
    let range = ForbiddenRange::new(RunAddr(forbidden.0), RunAddr(forbidden.1), "f");
    let mut check = StackCheck::new(vec![range], unwinder());
    check.judge(registers, &mut StackSnapshot::on_demand(space), space)
}

#[track_caller]
fn assert_busy(verdict: &Verdict, at: u64, kind: HitKind) {
    match verdict {
        Verdict::Busy { hit, .. } => assert_eq!((hit.pc, hit.kind), (RunAddr(at), kind)),
        other => panic!("{other:?}"),
    }
}

const CLEAR: fn(usize) -> Verdict = |frames| Verdict::Clear {
    frames,
    by_scan: false,
};
const CLEAR_BY_SCAN: fn(usize) -> Verdict = |frames| Verdict::Clear {
    frames,
    by_scan: true,
};
const NOWHERE: (u64, u64) = (0x9000, 0x9100);

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
fn a_return_address_of_zero_ends_the_stack() {
    let (space, sp) = with_stack(&[0]);
    assert_eq!(judge(NOWHERE, &registers(0x1000, sp), &space), CLEAR(1));
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
    let first = registers(0x1300, STACK + 0x800);
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
