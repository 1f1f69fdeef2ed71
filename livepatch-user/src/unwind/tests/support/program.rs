//! A program of a few functions with hand-made tables, in arrays, for stacks written by hand.
//!
//!     1000 leaf     nothing pushed: the frame address is rsp+8
//!     1100 pushes   after 4 bytes, 16 bytes pushed, rbx among them
//!     1200 framed   the frame address is rbp+16
//!     1300 outermost: begins with a system call, as `clone` ends with one; 1a00 says so, too
//!     1400 restorer of signal handlers, with tables; 1500 the same without
//!     1600 no tables; a system call at 1680
//!     1700 keeps its return address in rdi
//!     1800 an expression that never ends; 1900 its frame address is a word of the stack

use super::array::ArraySpace;
use super::tables::{Tables, cfa};
use crate::memory::Registers;
use crate::unwind::{
    ForbiddenRange, HitKind, ImageSpec, RegionKind, StackCheck, StackSnapshot, TableSource,
    Unwinder, Verdict,
};
use livepatch_bundle::RunAddr;

pub(crate) const CODE: u64 = 0x1000;
pub(crate) const TABLES: u64 = 0x10000;
pub(crate) const STACK: u64 = 0x20000;
pub(crate) const ALTERNATE: u64 = 0x30000;
const OTHER_CODE: u64 = 0x40000;
pub(crate) const UPROBES: u64 = 0x50000;

const RSP: u8 = 7;
const RIP: u8 = 16;

/// Code whose every 16 bytes end in a call, so that an address behind such a block may be a return address.
fn code() -> Vec<u8> {
    let mut code = vec![0x90; 0x1000];
    for block in code.chunks_mut(16) {
        block[11] = 0xe8;
    }
    code[0x400..0x409].copy_from_slice(&[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]);
    code[0x300..0x302].copy_from_slice(&[0x0f, 0x05]);
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
        .function(0x1a00, 0x1b00, false, &[cfa::undefined(RIP)])
        .finish()
}

pub(crate) fn space() -> ArraySpace {
    ArraySpace::default()
        .with(CODE, code(), "r-x")
        .with(TABLES, tables(), "r--")
        .with_kind(STACK, vec![0; 0x1000], "rw-", RegionKind::Stack)
        .with(ALTERNATE, vec![0; 0x1000], "rw-")
        .with(OTHER_CODE, code(), "r-x")
        .with_kind(UPROBES, vec![0xcc; 0x1000], "--x", RegionKind::Uprobes)
}

pub(crate) fn unwinder() -> Unwinder {
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

pub(crate) fn registers(pc: u64, sp: u64) -> Registers {
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
pub(crate) fn with_stack(words: &[u64]) -> (ArraySpace, u64) {
    let mut space = space();
    let sp = STACK + 0x100;
    for (address, word) in (sp..).step_by(8).zip(words) {
        space.set_word(address, *word);
    }
    (space, sp)
}

pub(crate) fn judge(forbidden: (u64, u64), registers: &Registers, space: &ArraySpace) -> Verdict {
    let range = ForbiddenRange::new(RunAddr(forbidden.0), RunAddr(forbidden.1), "f");
    let mut check = StackCheck::new(vec![range], unwinder());
    check.judge(registers, &mut StackSnapshot::on_demand(space), space)
}

#[track_caller]
pub(crate) fn assert_busy(verdict: &Verdict, at: u64, kind: HitKind) {
    match verdict {
        Verdict::Busy { hit, .. } => assert_eq!((hit.pc, hit.kind), (RunAddr(at), kind)),
        other => panic!("{other:?}"),
    }
}

pub(crate) const CLEAR: fn(usize) -> Verdict = |frames| Verdict::Clear {
    frames,
    by_scan: false,
};
pub(crate) const CLEAR_BY_SCAN: fn(usize) -> Verdict = |frames| Verdict::Clear {
    frames,
    by_scan: true,
};
pub(crate) const NOWHERE: (u64, u64) = (0x9000, 0x9100);
