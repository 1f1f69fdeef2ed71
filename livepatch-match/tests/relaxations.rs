//! What linkers rewrite, byte by byte: `left` is object code with one or two relocations, `right` the linked code at 0x1000.

use livepatch_bundle::RelocKind::{self, *};
use livepatch_match::{Code, Field, Target, Via, align};

const BASE: u64 = 0x1000;

/// Object code, its fields (offset, kind; symbols are numbered), linked code, and the references to expect.
type Case = (
    &'static str,
    &'static [(u64, RelocKind)],
    &'static str,
    &'static [(Via, u64, bool)],
);

#[rustfmt::skip]
const SAME: &[Case] = &[
    // mov rax, [rip+foo@GOTPCREL]: slot, lea, mov imm
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "48 8b 05 00 01 00 00", &[(Via::GotSlot, 0x1107, true)]),
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "48 8d 05 00 01 00 00", &[(Via::Direct, 0x1107, false)]),
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "48 c7 c0 00 20 40 00", &[(Via::Direct, 0x402000, false)]),
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "40 c7 c0 00 20 40 80", &[(Via::Direct, 0x80402000, false)]),
    // mov r12, [rip+foo@GOTPCREL]: REX.R becomes REX.B
    ("4c 8b 25 00 00 00 00", &[(3, RexGotPcRelX)], "4c 8d 25 00 00 00 00", &[(Via::Direct, 0x1007, false)]),
    ("4c 8b 25 00 00 00 00", &[(3, RexGotPcRelX)], "49 c7 c4 00 20 40 00", &[(Via::Direct, 0x402000, false)]),
    // mov eax, [rip+foo@GOTPCREL] (low half)
    ("8b 05 00 00 00 00", &[(2, GotPcRelX)], "c7 c0 00 20 40 f0", &[(Via::Direct, 0xf0402000, false)]),
    // test [rip+foo@GOTPCREL], rcx; cmp r9, [..]; add rdx, [..]
    ("48 85 0d 00 00 00 00", &[(3, RexGotPcRelX)], "48 f7 c1 00 20 40 00", &[(Via::Direct, 0x402000, false)]),
    ("4c 3b 0d 00 00 00 00", &[(3, RexGotPcRelX)], "49 81 f9 00 20 40 00", &[(Via::Direct, 0x402000, false)]),
    ("48 03 15 00 00 00 00", &[(3, RexGotPcRelX)], "48 81 c2 00 20 40 00", &[(Via::Direct, 0x402000, false)]),
    ("48 2b 15 00 00 00 00", &[(3, GotPcRel)], "48 2b 15 00 01 00 00", &[(Via::GotSlot, 0x1107, true)]),
    // call [rip+foo@GOTPCREL]
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "ff 15 00 01 00 00", &[(Via::GotSlot, 0x1106, true)]),
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "67 e8 00 01 00 00", &[(Via::Branch, 0x1106, false)]),
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "e8 00 01 00 00 90", &[(Via::Branch, 0x1105, false)]),
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "90 e8 00 01 00 00", &[(Via::Branch, 0x1106, false)]),
    // jmp [rip+foo@GOTPCREL]
    ("ff 25 00 00 00 00", &[(2, GotPcRelX)], "ff 25 00 01 00 00", &[(Via::GotSlot, 0x1106, true)]),
    ("ff 25 00 00 00 00", &[(2, GotPcRelX)], "e9 00 01 00 00 90", &[(Via::Branch, 0x1105, false)]),
    ("ff 25 00 00 00 00", &[(2, GotPcRelX)], "90 e9 00 01 00 00", &[(Via::Branch, 0x1106, false)]),
    // push [rip+foo@GOTPCREL]
    ("ff 35 00 00 00 00", &[(2, GotPcRelX)], "ff 35 00 01 00 00", &[(Via::GotSlot, 0x1106, true)]),
    // tail jump to another function, near and short; jne, too
    ("e9 00 00 00 00", &[(1, Plt32)], "e9 fb 00 00 00", &[(Via::Branch, 0x1100, false)]),
    ("e9 00 00 00 00", &[(1, Plt32)], "eb 40", &[(Via::Branch, 0x1042, false)]),
    ("0f 85 00 00 00 00", &[(2, Plt32)], "75 80", &[(Via::Branch, 0xf82, false)]),
    // cmp dword [rip+foo], 0x12345678: an immediate after the field
    ("81 3d 00 00 00 00 78 56 34 12", &[(2, Pc32)], "81 3d 00 01 00 00 78 56 34 12", &[(Via::Direct, 0x110a, true)]),
    // mov qword [rip+foo], offset bar: two fields
    ("48 c7 05 00 00 00 00 00 00 00 00", &[(3, Pc32), (7, Abs32S)],
        "48 c7 05 00 01 00 00 00 00 00 80", &[(Via::Direct, 0x110b, true), (Via::Direct, 0xffffffff80000000, false)]),
    // mov edi, offset foo; movabs rax, offset foo; mov eax, [rax*4+foo]; movabs al, [foo]
    ("bf 00 00 00 00", &[(1, Abs32)], "bf 00 20 40 f0", &[(Via::Direct, 0xf0402000, false)]),
    ("48 b8 00 00 00 00 00 00 00 00", &[(2, Abs64)],
        "48 b8 88 77 66 55 44 33 22 11", &[(Via::Direct, 0x1122334455667788, false)]),
    ("8b 04 85 00 00 00 00", &[(3, Abs32S)], "8b 04 85 00 20 40 80", &[(Via::Direct, 0xffffffff80402000, true)]),
    ("a0 00 00 00 00 00 00 00 00", &[(1, Abs64)],
        "a0 88 77 66 55 44 33 22 11", &[(Via::Direct, 0x1122334455667788, true)]),
    // movabs rax, offset foo-. (R_X86_64_PC64): counted from the field
    ("48 b8 00 00 00 00 00 00 00 00", &[(2, Pc64)], "48 b8 fe 00 00 00 00 00 00 00", &[(Via::Direct, 0x1100, false)]),
    // lea rbx, [rip+_GLOBAL_OFFSET_TABLE_]; movabs rax, foo@GOTOFF
    ("48 8d 1d 00 00 00 00", &[(3, GotPc32)], "48 8d 1d 00 01 00 00", &[(Via::GotRelative, 0x1107, false)]),
    ("48 b8 00 00 00 00 00 00 00 00", &[(2, GotOff64)],
        "48 b8 f8 ff ff ff ff ff ff ff", &[(Via::GotRelative, 0xfffffffffffffff8, false)]),
    // mov eax, fs:[x@TPOFF]
    ("64 8b 04 25 00 00 00 00", &[(4, TpOff32)], "64 8b 04 25 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, true)]),
    // mov rax, [rip+x@GOTTPOFF]; add r12, [..]; add rax, [..]
    ("48 8b 05 00 00 00 00", &[(3, GotTpOff)], "48 8b 05 00 01 00 00", &[(Via::GotTpOff, 0x1107, true)]),
    ("48 8b 05 00 00 00 00", &[(3, GotTpOff)], "48 c7 c0 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("4c 03 25 00 00 00 00", &[(3, GotTpOff)], "49 81 c4 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("48 03 05 00 00 00 00", &[(3, GotTpOff)], "48 8d 80 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("4c 03 3d 00 00 00 00", &[(3, GotTpOff)], "4d 8d bf fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("48 03 05 00 00 00 00", &[(3, GotTpOff)], "48 81 c0 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    // general dynamic: as it is, initial exec, local exec, mold's local exec
    ("66 48 8d 3d 00 00 00 00 66 66 48 e8 00 00 00 00", &[(4, TlsGd), (12, Plt32)],
        "66 48 8d 3d 00 01 00 00 66 66 48 e8 00 02 00 00", &[(Via::TlsGd, 0x1108, false), (Via::Branch, 0x1210, false)]),
    ("66 48 8d 3d 00 00 00 00 66 66 48 e8 00 00 00 00", &[(4, TlsGd), (12, Plt32)],
        "64 48 8b 04 25 00 00 00 00 48 03 05 00 01 00 00", &[(Via::GotTpOff, 0x1110, true)]),
    ("66 48 8d 3d 00 00 00 00 66 66 48 e8 00 00 00 00", &[(4, TlsGd), (12, Plt32)],
        "64 48 8b 04 25 00 00 00 00 48 8d 80 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("66 48 8d 3d 00 00 00 00 66 48 ff 15 00 00 00 00", &[(4, TlsGd), (12, GotPcRelX)],
        "64 48 8b 04 25 00 00 00 00 48 81 c0 fc ff ff ff", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
    ("66 48 8d 3d 00 00 00 00 66 48 ff 15 00 00 00 00", &[(4, TlsGd), (12, GotPcRelX)],
        "66 48 8d 3d 00 01 00 00 66 48 67 e8 00 02 00 00", &[(Via::TlsGd, 0x1108, false), (Via::Branch, 0x1210, false)]),
    // local dynamic: as it is, local exec by ld and by mold; then lea rax, [rax+x@DTPOFF]
    ("48 8d 3d 00 00 00 00 e8 00 00 00 00 48 8d 80 00 00 00 00", &[(3, TlsLd), (8, Plt32), (15, DtpOff32)],
        "48 8d 3d 00 01 00 00 e8 00 02 00 00 48 8d 80 08 00 00 00", &[(Via::TlsLd, 0x1107, false), (Via::Branch, 0x120c, false), (Via::DtpOff, 8, false)]),
    ("48 8d 3d 00 00 00 00 e8 00 00 00 00 48 8d 80 00 00 00 00", &[(3, TlsLd), (8, Plt32), (15, DtpOff32)],
        "66 66 66 64 48 8b 04 25 00 00 00 00 48 8d 80 f8 ff ff ff", &[(Via::TpOff, 0xfffffffffffffff8, false)]),
    ("48 8d 3d 00 00 00 00 ff 15 00 00 00 00 48 8d 80 00 00 00 00", &[(3, TlsLd), (9, GotPcRelX), (16, DtpOff32)],
        "66 66 66 66 64 48 8b 04 25 00 00 00 00 48 8d 80 f8 ff ff ff", &[(Via::TpOff, 0xfffffffffffffff8, false)]),
    ("48 8d 3d 00 00 00 00 e8 00 00 00 00 48 8d 80 00 00 00 00", &[(3, TlsLd), (8, Plt32), (15, DtpOff32)],
        "31 c0 64 48 8b 00 48 2d 40 00 00 00 48 8d 80 08 00 00 00", &[(Via::DtpOff, 8, false)]),
    // TLS descriptors: as they are, initial exec, local exec
    ("48 8d 05 00 00 00 00 ff 10", &[(3, GotPc32TlsDesc), (7, TlsDescCall)],
        "48 8d 05 00 01 00 00 ff 10", &[(Via::TlsDesc, 0x1107, false)]),
    ("48 8d 05 00 00 00 00 ff 10", &[(3, GotPc32TlsDesc), (7, TlsDescCall)],
        "48 8b 05 00 01 00 00 66 90", &[(Via::GotTpOff, 0x1107, true)]),
    ("48 8d 05 00 00 00 00 ff 10", &[(3, GotPc32TlsDesc), (7, TlsDescCall)],
        "48 c7 c0 fc ff ff ff 66 90", &[(Via::TpOff, 0xfffffffffffffffc, false)]),
];

/// Code, its fields, and code that no linker makes of it.
type Other = (&'static str, &'static [(u64, RelocKind)], &'static str);

#[rustfmt::skip]
const DIFFERENT: &[Other] = &[
    // another register; another operation; an address instead of a load without GOT
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "48 8d 0d 00 01 00 00"),
    ("48 8b 05 00 00 00 00", &[(3, RexGotPcRelX)], "48 c7 c1 00 20 40 00"),
    ("48 03 15 00 00 00 00", &[(3, RexGotPcRelX)], "48 81 ea 00 20 40 00"),
    ("48 8b 05 00 00 00 00", &[(3, Pc32)], "48 8d 05 00 01 00 00"),
    // call for jmp; call without the nop; jmp for call
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "e9 00 01 00 00 90"),
    ("ff 15 00 00 00 00", &[(2, GotPcRelX)], "e8 00 01 00 00 c3"),
    ("ff 25 00 00 00 00", &[(2, GotPcRelX)], "e8 00 01 00 00 90"),
    // je for jne; short and near
    ("0f 85 00 00 00 00", &[(2, Plt32)], "0f 84 00 00 00 00"),
    ("0f 85 00 00 00 00", &[(2, Plt32)], "74 40"),
    // local exec of another register; other segment
    ("48 8b 05 00 00 00 00", &[(3, GotTpOff)], "48 c7 c3 fc ff ff ff"),
    ("64 8b 04 25 00 00 00 00", &[(4, TpOff32)], "65 8b 04 25 fc ff ff ff"),
    // half a sequence
    ("66 48 8d 3d 00 00 00 00 66 66 48 e8 00 00 00 00", &[(4, TlsGd), (12, Plt32)],
        "64 48 8b 04 25 00 00 00 00 48 2b 05 00 01 00 00"),
    ("66 48 8d 3d 00 00 00 00 66 66 48 e8 00 00 00 00", &[(4, TlsGd), (12, Plt32)],
        "64 48 8b 04 25 08 00 00 00 48 03 05 00 01 00 00"),
    // a descriptor's call that became nothing, without its mark
    ("ff 10", &[], "66 90"),
    // an unrelocated constant
    ("bf 01 00 00 00", &[], "bf 02 00 00 00"),
    // lsl eax, [rip+..] is not `add` after a prefix
    ("0f 03 05 00 00 00 00", &[(3, GotPcRelX)], "0f 81 c0 00 20 40 00"),
];

fn bytes(hex: &str) -> Vec<u8> {
    let parse = |byte| u8::from_str_radix(byte, 16).expect("hex");
    hex.split_whitespace().map(parse).collect()
}

fn fields(list: &[(u64, RelocKind)]) -> Vec<Field> {
    let field = |(index, &(offset, kind)): (usize, &(u64, RelocKind))| Field {
        offset,
        kind,
        symbol: index as u32,
        addend: 0x10,
        inside: false,
    };
    list.iter().enumerate().map(field).collect()
}

fn compare(
    left: &str,
    list: &[(u64, RelocKind)],
    right: &str,
) -> Result<livepatch_match::Alignment, livepatch_match::Mismatch> {
    let (left, fields, right) = (bytes(left), fields(list), bytes(right));
    align(
        &Code {
            bytes: &left,
            base: 0,
            fields: Some(&fields),
        },
        &Code {
            bytes: &right,
            base: BASE,
            fields: None,
        },
    )
}

#[test]
fn what_linkers_make_of_an_instruction_is_the_same() {
    for (left, list, right, expected) in SAME {
        let alignment =
            compare(left, list, right).unwrap_or_else(|error| panic!("{left} / {right}: {error}"));
        let found: Vec<_> = (alignment.references.iter())
            .map(|pair| match pair.other {
                Target::Address(address) => (pair.via, address, pair.access),
                other => panic!("{left} / {right}: {other:?}"),
            })
            .collect();
        assert_eq!(found, *expected, "{left} / {right}");
        assert_eq!(
            alignment.lengths.1,
            bytes(right).len() as u64,
            "{left} / {right}"
        );
    }
}

#[test]
fn what_no_linker_makes_is_different() {
    for (left, list, right) in DIFFERENT {
        let result = compare(left, list, right);
        assert!(result.is_err(), "{left} / {right}: {result:x?}");
    }
}

#[test]
fn the_object_side_has_no_pc_bias() {
    let cases: &[(&str, (u64, RelocKind), i64)] = &[
        ("48 8b 05 00 00 00 00", (3, RexGotPcRelX), 0x14),
        ("81 3d 00 00 00 00 78 56 34 12", (2, Pc32), 0x18),
        ("80 3d 00 00 00 00 78", (2, Pc32), 0x15),
        ("bf 00 00 00 00", (1, Abs32), 0x10),
        ("e8 00 00 00 00", (1, Plt32), 0x14),
    ];
    for (code, field, offset) in cases {
        let alignment = compare(code, &[*field], code).expect("the same");
        let expected = Target::Symbol {
            symbol: 0,
            offset: *offset,
        };
        assert_eq!(alignment.references[0].target, expected, "{code}");
    }
}
