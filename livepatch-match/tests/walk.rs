//! Layout: jump lengths, padding, entries, and targets inside the function, byte by byte.

use livepatch_bundle::RelocKind;
use livepatch_match::{Alignment, Code, Field, Mismatch, Target, Via, align};

fn object<'a>(bytes: &'a [u8], fields: &'a [Field]) -> Code<'a> {
    Code {
        bytes,
        base: 0,
        fields: Some(fields),
    }
}

fn linked(bytes: &[u8]) -> Code<'_> {
    Code {
        bytes,
        base: 0x1000,
        fields: None,
    }
}

fn objects(left: &[u8], right: &[u8]) -> Result<Alignment, Mismatch> {
    let forth = align(&object(left, &[]), &object(right, &[]));
    let back = align(&object(right, &[]), &object(left, &[]));
    assert_eq!(forth.is_ok(), back.is_ok(), "{forth:x?} {back:x?}");
    forth
}

fn run_time(left: &[u8], right: &[u8]) -> Result<Alignment, Mismatch> {
    align(&object(left, &[]), &linked(right))
}

fn inside(offset: u64, addend: i64) -> Field {
    Field {
        offset,
        kind: RelocKind::Plt32,
        symbol: 7,
        addend,
        inside: true,
    }
}

// 0: 75 03             jne 5
// 2: 8d 47 01          lea eax, [rdi+1]
// 5: c3                ret
const SHORT: &[u8] = &[0x75, 0x03, 0x8d, 0x47, 0x01, 0xc3];
// 0: 0f 85 03 00 00 00 jne 9
// 6: 8d 47 01          lea eax, [rdi+1]
// 9: c3                ret
const NEAR: &[u8] = &[0x0f, 0x85, 0x03, 0, 0, 0, 0x8d, 0x47, 0x01, 0xc3];

#[test]
fn short_and_near_jumps_are_the_same() {
    let alignment = objects(SHORT, NEAR).expect("the same");
    assert_eq!(alignment.instructions, [(0, 0), (2, 6), (5, 9)]);
    assert_eq!(alignment.lengths, (6, 10));
    assert!(alignment.references.is_empty());
    assert_eq!(alignment.counterpart(5), Some(9));
    assert_eq!(alignment.counterpart(6), None);
    run_time(SHORT, NEAR).expect("the same");
}

#[test]
fn a_jump_to_another_instruction_is_seen() {
    let mut other = NEAR.to_vec();
    other[2] = 0; // jne 6
    let expected = Mismatch::Branch {
        at: 0,
        at_other: 0,
        target: 5,
        target_other: 6,
    };
    assert_eq!(objects(SHORT, &other), Err(expected));
    other[2] = 0xf0; // far behind the end
    assert!(matches!(
        objects(SHORT, &other),
        Err(Mismatch::Branch { .. })
    ));
    assert!(matches!(
        run_time(SHORT, &other),
        Err(Mismatch::Branch { .. })
    ));
}

#[test]
fn a_jump_into_the_middle_of_an_instruction_is_different() {
    let mut middle = SHORT.to_vec();
    middle[1] = 1; // jne 3
    assert!(objects(&middle, &middle).is_err());
}

#[test]
fn a_jump_over_the_lock_prefix_is_understood() {
    // 0: 74 01             je 3
    // 2: f0 0f c1 07       lock xadd [rdi], eax
    // 6: c3                ret
    let code = [0x74, 0x01, 0xf0, 0x0f, 0xc1, 0x07, 0xc3];
    objects(&code, &code).expect("the same");
    let mut behind = code;
    behind[1] = 2;
    assert!(objects(&behind, &behind).is_err());
    assert!(objects(&code, &behind).is_err());
}

#[test]
fn alignment_is_padding_on_either_side() {
    // 0: 31 c0             xor eax, eax
    // 2: 66 66 2e 0f 1f 84 00 00 00 00 00, 0f 1f 00    to 16
    // 10: ff c8            dec eax
    // 12: 75 fc            jne 10
    // 14: c3               ret
    let padded = [
        &[
            0x31, 0xc0, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0,
        ][..],
        &[0x0f, 0x1f, 0x00, 0xff, 0xc8, 0x75, 0xfc, 0xc3],
    ]
    .concat();
    let plain = [0x31, 0xc0, 0xff, 0xc8, 0x75, 0xfc, 0xc3];
    let alignment = objects(&padded, &plain).expect("the same");
    assert_eq!(alignment.instructions, [(0, 0), (16, 2), (18, 4), (20, 6)]);
    // A jump to the padding goes on behind it.
    let mut early = padded.clone();
    early[19] = 0xf9; // jne 13
    objects(&early, &plain).expect("the same");
    early[19] = 0xf8; // jne 12: inside a no-operation
    assert!(objects(&early, &plain).is_err());
}

#[test]
fn no_operations_that_align_nothing_are_not_padding() {
    // xor eax, eax; nop dword [rax]; ret: ends at 5
    let odd = [0x31, 0xc0, 0x0f, 0x1f, 0x00, 0xc3];
    assert!(objects(&odd, &[0x31, 0xc0, 0xc3]).is_err());
    // xor eax, eax; nop; nop; ret: ends at 4
    let even = [0x31, 0xc0, 0x90, 0x90, 0xc3];
    objects(&even, &[0x31, 0xc0, 0xc3]).expect("the same");
    // pause, int3 and endbr64 are none.
    for not_padding in [
        &[0x31, 0xc0, 0xf3, 0x90, 0xc3][..],
        &[0x31, 0xc0, 0xcc, 0xcc, 0xc3],
    ] {
        assert!(objects(not_padding, &[0x31, 0xc0, 0xc3]).is_err());
    }
    let endbr = [0x31, 0xc0, 0x89, 0xc0, 0xf3, 0x0f, 0x1e, 0xfa, 0xc3];
    assert!(objects(&endbr, &[0x31, 0xc0, 0x89, 0xc0, 0xc3]).is_err());
}

#[test]
fn an_explicit_no_operation_before_padding_stays_one() {
    // xor eax, eax; nop (a probe); then padding to 4 and none
    let probe = [0x31, 0xc0, 0x90, 0xc3];
    let padded = [0x31, 0xc0, 0x90, 0x90, 0xc3];
    objects(&probe, &padded).expect("the same");
    objects(&probe, &probe).expect("the same");
}

#[test]
fn no_operations_at_the_entry_must_agree() {
    // endbr64; nop x 4; ret
    let patchable = [0xf3, 0x0f, 0x1e, 0xfa, 0x90, 0x90, 0x90, 0x90, 0xc3];
    let alignment = objects(&patchable, &patchable).expect("the same");
    assert_eq!(alignment.instructions.len(), 6);
    assert!(objects(&patchable, &[0xf3, 0x0f, 0x1e, 0xfa, 0xc3]).is_err());
    assert!(run_time(&[0xf3, 0x0f, 0x1e, 0xfa, 0xc3], &patchable).is_err());
    let mut called = patchable.to_vec();
    called.splice(4..9, [0x0f, 0x1f, 0x40, 0x00, 0xc3]); // one of four bytes
    assert!(objects(&patchable, &called).is_err());
}

#[test]
fn one_that_goes_on_is_longer() {
    let nothing_more = |result| assert_eq!(result, Err(Mismatch::Length { at: 1 }));
    nothing_more(align(&object(&[0x55], &[]), &object(&[0x55, 0xc3], &[])));
    nothing_more(align(&object(&[0x55, 0xc3], &[]), &object(&[0x55], &[])));
    nothing_more(align(&object(&[0x55, 0xc3], &[]), &linked(&[0x55])));
    let alignment = run_time(&[0x55], &[0x55, 0xc3]).expect("the same so far");
    assert_eq!(alignment.lengths, (1, 1));
}

#[test]
fn a_branch_out_of_the_piece_is_for_the_caller() {
    // 0: eb 10             jmp 12
    let left = [0xeb, 0x10];
    // 0: e9 f0 ff ff ff    jmp -11
    let right = [0xe9, 0xf0, 0xff, 0xff, 0xff];
    let pair = objects(&left, &right).expect("the same").references[0];
    assert_eq!(
        (pair.target, pair.other),
        (Target::Outside(18), Target::Outside(-11))
    );
    let pair = run_time(&left, &right).expect("the same").references[0];
    assert_eq!(
        (pair.target, pair.other),
        (Target::Outside(18), Target::Address(0xff5))
    );
    assert_eq!((pair.via, pair.access), (Via::Branch, false));
    // From the very end a jump may lead on or out: the caller knows.
    let pair = objects(&[0xeb, 0x00], &[0xeb, 0x00])
        .expect("the same")
        .references[0];
    assert_eq!(pair.target, Target::Outside(2));
}

#[test]
fn a_relocated_branch_to_itself_is_inside() {
    // 0: ff cf             dec edi
    // 2: e9 00 00 00 00    jmp .text+0
    let fields = [inside(3, -4)];
    let relocated = object(&[0xff, 0xcf, 0xe9, 0, 0, 0, 0], &fields);
    // 2: eb fc             jmp 0
    let resolved = [0xff, 0xcf, 0xeb, 0xfc];
    for right in [object(&resolved, &[]), linked(&resolved)] {
        let alignment = align(&relocated, &right).expect("the same");
        assert!(alignment.references.is_empty());
    }
    let other = [0xff, 0xcf, 0xeb, 0xfe];
    for right in [object(&other, &[]), linked(&other)] {
        assert!(align(&relocated, &right).is_err());
    }
}

#[test]
fn a_recursive_call_through_the_plt_is_for_the_caller() {
    // 0: e8 00 00 00 00    call self@plt
    let fields = [inside(1, -4)];
    let left = object(&[0xe8, 0, 0, 0, 0], &fields);
    let alignment = align(&left, &linked(&[0xe8, 0xfb, 1, 0, 0])).expect("the same");
    let pair = alignment.references[0];
    assert_eq!(
        (pair.target, pair.other),
        (Target::Inside(0), Target::Address(0x1200))
    );
    let itself = align(&left, &linked(&[0xe8, 0xfb, 0xff, 0xff, 0xff])).expect("the same");
    assert!(itself.references.is_empty());
    // Not through the PLT into the middle of a function.
    let fields = [inside(1, -3)];
    let middle = object(&[0xe8, 0, 0, 0, 0], &fields);
    assert!(align(&middle, &linked(&[0xe8, 0xfb, 1, 0, 0])).is_err());
    // A recursion that the assembler resolved is no call of another function.
    let resolved = [0xe8, 0xfb, 0xff, 0xff, 0xff];
    assert!(run_time(&resolved, &[0xe8, 0xfb, 1, 0, 0]).is_err());
}

#[test]
fn a_relocation_has_to_fit_its_instruction() {
    let check = |bytes: &[u8], offset, kind| {
        let fields = [Field {
            offset,
            kind,
            symbol: 0,
            addend: 0,
            inside: false,
        }];
        let error = align(&object(bytes, &fields), &object(bytes, &fields)).unwrap_err();
        assert!(matches!(error, Mismatch::Relocation { .. }), "{error}");
    };
    let call = [0xe8, 0, 0, 0, 0];
    check(&call, 0, RelocKind::Plt32); // the opcode
    check(&call, 1, RelocKind::Abs64); // too wide: beyond the end
    check(&call, 1, RelocKind::Abs32); // absolute, but the CPU adds the place
    check(&call, 9, RelocKind::Plt32); // behind the end
    check(&call, u64::MAX, RelocKind::Plt32);
    check(&call, 1, RelocKind::GotPcRel);
    check(&[0xb8, 0, 0, 0, 0], 1, RelocKind::Pc32); // mov eax, imm32
    check(&[0x8b, 0x80, 0, 0, 0, 0], 2, RelocKind::Pc32); // mov eax, [rax+disp32]
    check(&[0x8b, 0x05, 0, 0, 0, 0], 2, RelocKind::Abs32S); // mov eax, [rip+disp32]
    check(&[0x90, 0x90], 0, RelocKind::TlsDescCall); // no call
    check(
        &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0xc3],
        3,
        RelocKind::Abs32,
    ); // inside padding
}

#[test]
fn fields_that_overlap_or_are_not_sorted_are_refused() {
    let field = |offset| Field {
        offset,
        kind: RelocKind::Plt32,
        symbol: 0,
        addend: -4,
        inside: false,
    };
    let calls = [0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0];
    for fields in [
        [field(6), field(1)],
        [field(1), field(1)],
        [field(1), field(2)],
    ] {
        let code = object(&calls, &fields);
        let error = align(&code, &code).unwrap_err();
        assert!(matches!(error, Mismatch::Relocation { .. }), "{error}");
    }
    let fields = [field(1), field(6)];
    align(&object(&calls, &fields), &object(&calls, &fields)).expect("the same");
}

#[test]
fn prefixes_that_mean_something_must_agree() {
    let different: &[(&[u8], &[u8])] = &[
        (&[0xf0, 0x0f, 0xc1, 0x07], &[0x0f, 0xc1, 0x07]), // lock xadd
        (&[0xf3, 0xa4], &[0xa4]),                         // rep movsb
        (&[0xf3, 0xa6], &[0xf2, 0xa6]),                   // repe, repne cmpsb
        (&[0x64, 0x8b, 0x07], &[0x8b, 0x07]),             // fs:
        (&[0x64, 0x8b, 0x07], &[0x65, 0x8b, 0x07]),       // gs:
        (&[0x3e, 0xff, 0xe0], &[0xff, 0xe0]),             // notrack jmp rax
        (&[0xf2, 0xc3], &[0xc3]),                         // bnd ret
        (&[0xf2, 0xeb, 0x10], &[0xeb, 0x10]),             // bnd jmp
        (&[0x66, 0x89, 0xc8], &[0x89, 0xc8]),             // 16 bits
        (&[0x48, 0x89, 0xc8], &[0x89, 0xc8]),             // 64 bits
        (&[0x89, 0xc8], &[0x8b, 0xc1]),                   // mov eax, ecx, the other way
        (&[0x83, 0xc0, 0x01], &[0x81, 0xc0, 1, 0, 0, 0]), // add eax, 1
        (&[0x8b, 0x40, 0x08], &[0x8b, 0x80, 8, 0, 0, 0]), // mov eax, [rax+8]
    ];
    for (left, right) in different {
        assert!(objects(left, right).is_err(), "{left:02x?} {right:02x?}");
    }
    // cs and ds are ignored in 64-bit mode, and gas makes instructions longer by them.
    objects(&[0x2e, 0x2e, 0x89, 0xc8], &[0x89, 0xc8]).expect("the same");
    objects(&[0x64, 0x64, 0x8b, 0x07], &[0x64, 0x8b, 0x07]).expect("the same");
}
