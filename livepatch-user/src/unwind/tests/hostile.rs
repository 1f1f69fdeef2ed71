//! Nothing that a target can put into its memory makes the check panic or loop.

use super::support::array::ArraySpace;
use super::support::build::stacks;
use crate::memory::Registers;
use crate::unwind::{
    ForbiddenRange, ImageSpec, RegionKind, StackCheck, TableSource, Unwinder, Verdict,
};
use livepatch_bundle::RunAddr;
use object::{Object, ObjectSection, ObjectSegment};
use proptest::prelude::*;
use std::sync::OnceLock;

const BIAS: u64 = 0x5500_0000_0000;
const STACK: u64 = 0x7ff0_0000_0000;
const STACK_LEN: usize = 0x2000;

/// A program as the loader maps it, and where its call-frame information is.
struct Loaded {
    segments: Vec<(u64, Vec<u8>, bool)>,
    code: (u64, u64),
    /// ELF header and program headers, `.eh_frame_hdr`, `.eh_frame`: start and length.
    sensitive: Vec<(u64, u64)>,
}

fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        let program = stacks("gcc -O2");
        let file = std::fs::read(&program.path).expect("it was just built");
        let elf = object::File::parse(&*file).expect("it is ELF");
        let segments: Vec<_> = elf
            .segments()
            .map(|segment| {
                let bytes = segment.data().expect("it is in the file").to_vec();
                let executable = matches!(segment.flags(), object::SegmentFlags::Elf { p_flags, .. } if p_flags.0 & 1 != 0);
                (segment.address(), bytes, executable)
            })
            .collect();
        let text = segments.iter().find(|segment| segment.2).expect("it has code");
        let code = (text.0, text.0 + text.1.len() as u64);
        let section = |name| {
            let section = elf.section_by_name(name).expect("it has it");
            (section.address(), section.size())
        };
        let sensitive = vec![(0, 0x300), section(".eh_frame_hdr"), section(".eh_frame")];
        Loaded { segments, code, sensitive }
    })
}

/// The program with some bytes of its headers and tables changed, and this stack.
fn space(changes: &[(usize, u64, u8)], stack: &[u64]) -> ArraySpace {
    let loaded = loaded();
    let mut segments = loaded.segments.clone();
    for (place, offset, value) in changes {
        let (start, len) = loaded.sensitive[place % loaded.sensitive.len()];
        let address = start + offset % len;
        for (first, bytes, _) in &mut segments {
            if let Some(byte) = address
                .checked_sub(*first)
                .and_then(|at| bytes.get_mut(at as usize))
            {
                *byte = *value;
            }
        }
    }
    let mut bytes: Vec<u8> = stack.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(STACK_LEN, 0);
    let space = ArraySpace::default().with_kind(STACK, bytes, "rw-", RegionKind::Stack);
    segments
        .into_iter()
        .fold(space, |space, (start, bytes, executable)| {
            space.with(BIAS + start, bytes, if executable { "r-x" } else { "r--" })
        })
}

fn check() -> StackCheck {
    let (start, end) = loaded().code;
    let code = (RunAddr(BIAS + start), RunAddr(BIAS + end));
    let image = ImageSpec {
        label: "program".to_owned(),
        code: vec![code],
        bias: BIAS,
        tables: TableSource::Elf {
            header: RunAddr(BIAS),
            file: None,
        },
    };
    let forbidden = ForbiddenRange::new(code.0.offset(0x100), code.0.offset(0x180), "f");
    StackCheck::new(vec![forbidden], Unwinder::new(vec![image]))
}

fn pc() -> impl Strategy<Value = u64> {
    let (start, end) = loaded().code;
    prop_oneof![8 => BIAS + start..BIAS + end, 1 => any::<u64>()]
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![3 => pc(), 3 => STACK..STACK + STACK_LEN as u64, 1 => any::<u64>(), 1 => Just(0)]
}

prop_compose! {
    fn registers()(general in proptest::array::uniform15(word()), rip in pc(), sp in STACK..STACK + 0x1000) -> Registers {
        let [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi] = general;
        Registers {
            r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax: 0, rip, cs: 0x33,
            eflags: 0, rsp: sp & !7, ss: 0, fs_base: 0, gs_base: 0, ds: 0, es: 0, fs: 0, gs: 0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stack_gets_a_verdict(
        registers in registers(),
        stack in proptest::collection::vec(word(), 0..400),
    ) {
        let space = space(&[], &stack);
        let verdict = check().judge_many(&[((), registers)], &space).remove(0).1;
        let inside = registers.rip.wrapping_sub(BIAS + loaded().code.0);
        if (0x100..0x180).contains(&inside) {
            let busy = matches!(verdict, Verdict::Busy { .. });
            prop_assert!(busy);
        }
    }

    #[test]
    fn any_table_gets_a_verdict(
        changes in proptest::collection::vec((any::<usize>(), any::<u64>(), any::<u8>()), 1..40),
        registers in registers(),
        stack in proptest::collection::vec(word(), 0..400),
    ) {
        let space = space(&changes, &stack);
        let mut check = check();
        check.rehearse(&[(RunAddr(registers.rip), RunAddr(registers.rsp))], &space);
        check.judge_many(&[((), registers)], &space);
        let (start, end) = loaded().code;
        for pc in (BIAS + start..BIAS + end).step_by(37) {
            check.unwinder().prepare_pc(RunAddr(pc), true, &space);
        }
    }

    #[test]
    fn any_bytes_are_a_bare_table(bytes in proptest::collection::vec(any::<u8>(), 0..200), pc in 0x1000u64..0x2000) {
        let len = bytes.len();
        let space = ArraySpace::default().with(0x8000, bytes, "r--").with(0x1000, vec![0x90; 0x1000], "r-x");
        let mut unwinder = Unwinder::new(vec![ImageSpec {
            label: "patch".to_owned(),
            code: vec![(RunAddr(0x1000), RunAddr(0x2000))],
            bias: 0,
            tables: TableSource::EhFrame { start: RunAddr(0x8000), len },
        }]);
        unwinder.prepare_pc(RunAddr(pc), true, &space);
    }
}

/// Another library with tables of its own, mapped where the program was: its ELF header differs in a byte that nothing reads.
fn another() -> ArraySpace {
    const PADDING_OF_THE_HEADER: u64 = 15;
    space(&[(0, PADDING_OF_THE_HEADER, 0x5a)], &[])
}

/// An instruction pointer that the program has a row for.
fn known_pc() -> RunAddr {
    let (start, end) = loaded().code;
    let mut unwinder = check().unwinder;
    let before = space(&[], &[]);
    (start..end)
        .map(|address| RunAddr(BIAS + address))
        .find(|pc| unwinder.prepare_pc(*pc, true, &before))
        .expect("the program has rows")
}

#[test]
fn rows_of_an_image_that_was_replaced_are_dropped() {
    let (pc, mut check) = (known_pc(), check());
    assert!(check.unwinder().prepare_pc(pc, true, &space(&[], &[])));
    check.begin(&space(&[], &[]));
    assert_eq!(check.unwinder().known_sites(), 1, "nothing has changed");
    check.begin(&another());
    assert_eq!(check.unwinder().known_sites(), 0);
    assert!(!check.unwinder().prepare_pc(pc, true, &another()));
}

#[test]
fn tables_read_ahead_are_not_used_for_another_image() {
    let (pc, mut check) = (known_pc(), check());
    check.unwinder().prepare_tables(&space(&[], &[]));
    assert!(!check.unwinder().prepare_pc(pc, true, &another()));
}
