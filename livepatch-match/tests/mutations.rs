//! Every single changed bit of a function is seen, but where bits mean nothing; and capstone sees the same instructions.

mod support;

use capstone::prelude::*;
use livepatch_match::{Alignment, Code, Field, align};
use support::{Image, Piece, Unit, Workshop, program};

/// Object code and its linked code.
struct Pair<'a> {
    piece: &'a Piece,
    bytes: Vec<u8>,
    base: u64,
    alignment: Alignment,
}

impl Pair<'_> {
    fn linked<'b>(&self, bytes: &'b [u8]) -> Code<'b> {
        Code {
            bytes,
            base: self.base,
            fields: None,
        }
    }
}

fn build(flags: &[&str], link: &[&str]) -> (Unit, Image) {
    let shop = Workshop::new();
    let (features, other) = (program("features.c"), program("other.c"));
    let (features, other) = (
        features.to_str().expect("UTF-8"),
        other.to_str().expect("UTF-8"),
    );
    let split = [flags, &["-ffunction-sections", "-c", features]].concat();
    let old = Unit::read(&shop.build("gcc", &split, "old.o"));
    let image = shop.build(
        "gcc",
        &[flags, link, &[features, other]].concat(),
        "program",
    );
    (old, Image::read(&image))
}

fn pairs<'a>(unit: &'a Unit, image: &Image) -> Vec<Pair<'a>> {
    let pair = |piece: &'a Piece| {
        let base = image.values(&piece.name)[0];
        let code = |bytes| Code {
            bytes,
            base,
            fields: None,
        };
        let window = image.bytes_at(base).expect("code");
        let alignment = align(&piece.code(), &code(window)).expect("the same");
        Pair {
            piece,
            bytes: window[..alignment.lengths.1 as usize].to_vec(),
            base,
            alignment,
        }
    };
    unit.pieces.iter().map(pair).collect()
}

/// Whether the byte lies in none of the instructions that start at `starts`.
fn is_padding(code: &[u8], starts: &[u64], at: usize) -> bool {
    let next = starts.partition_point(|start| *start <= at as u64);
    let start = starts[next - 1] as usize;
    let capstone = decoder();
    let insns = capstone
        .disasm_count(&code[start..], 0, 1)
        .expect("an instruction");
    at >= start + insns[0].bytes().len()
}

/// Whether the byte is the distance of a short jump that leads to padding: it goes on to the same place.
fn jumps_to_padding(code: &[u8], starts: &[u64], at: usize) -> bool {
    let is_jump = at > 0 && matches!(code[at - 1], 0x70..=0x7f | 0xeb);
    let target = (at + 1).checked_add_signed(isize::from(code[at].cast_signed()));
    is_jump && target.is_some_and(|target| target < code.len() && is_padding(code, starts, target))
}

fn decoder() -> Capstone {
    let builder = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64);
    builder.build().expect("capstone")
}

const FLAGS: &[&str] = &["-O2", "-fPIC", "-fcf-protection"];

/// Changes every bit of `code` for which `counts`, and lists those that `is_same` does not see and that mean something.
fn unseen_bits(
    code: &[u8],
    starts: &[u64],
    counts: impl Fn(usize) -> bool,
    is_same: impl Fn(&[u8]) -> bool,
) -> Vec<String> {
    let mut unseen = Vec::new();
    let mut bytes = code.to_vec();
    for at in (0..code.len()).filter(|&at| counts(at)) {
        for bit in 0..8 {
            bytes[at] = code[at] ^ 1 << bit;
            let means_nothing =
                || is_padding(code, starts, at) || jumps_to_padding(&bytes, starts, at);
            if is_same(&bytes) && !means_nothing() {
                unseen.push(format!("+{at:#x} bit {bit}: {bytes:02x?}"));
            }
        }
        bytes[at] = code[at];
    }
    unseen
}

#[test]
fn every_changed_bit_of_linked_code_is_seen() {
    let (unit, image) = build(FLAGS, &["-pie"]);
    let mut changed = 0;
    for pair in pairs(&unit, &image) {
        let starts: Vec<u64> = pair
            .alignment
            .instructions
            .iter()
            .map(|(_, start)| *start)
            .collect();
        let is_same = |bytes: &[u8]| {
            align(&pair.piece.code(), &pair.linked(bytes)).is_ok_and(|same| same == pair.alignment)
        };
        let unseen = unseen_bits(&pair.bytes, &starts, |_| true, is_same);
        assert_eq!(unseen, Vec::<String>::new(), "{}", pair.piece.name);
        changed += pair.bytes.len() * 8;
    }
    assert!(changed > 10_000, "{changed}");
}

#[test]
fn every_changed_bit_of_object_code_is_seen() {
    let (unit, _) = build(FLAGS, &["-pie"]);
    for piece in &unit.pieces {
        let in_field = |at: u64| {
            let range = |field: &Field| field.offset..field.offset + field.kind.width() as u64;
            piece.fields.iter().any(|field| range(field).contains(&at))
        };
        let original = align(&piece.code(), &piece.code()).expect("the same");
        let starts: Vec<u64> = original
            .instructions
            .iter()
            .map(|(start, _)| *start)
            .collect();
        let is_same = |bytes: &[u8]| {
            let other = Code {
                bytes,
                ..piece.code()
            };
            align(&piece.code(), &other).is_ok_and(|same| same == original)
        };
        let unseen = unseen_bits(&piece.bytes, &starts, |at| !in_field(at as u64), is_same);
        assert_eq!(unseen, Vec::<String>::new(), "{}", piece.name);
    }
}

#[test]
fn capstone_agrees_about_every_instruction() {
    let capstone = decoder();
    let mut agreed = 0;
    for (flags, link) in [
        (&["-O2", "-fPIC"][..], &["-pie"][..]),
        (&["-O3", "-fPIE", "-march=x86-64-v3"], &["-pie"]),
        (&["-O0", "-fno-pie"], &["-no-pie"]),
        (&["-O2", "-fPIC", "-mtls-dialect=gnu2"], &["-shared"]),
    ] {
        let (unit, image) = build(flags, link);
        for pair in pairs(&unit, &image) {
            let insns = capstone.disasm_all(&pair.bytes, pair.base).expect("code");
            let starts: Vec<u64> = insns
                .iter()
                .map(|insn| insn.address() - pair.base)
                .collect();
            let total: usize = insns.iter().map(|insn| insn.bytes().len()).sum();
            assert_eq!(total, pair.bytes.len(), "{}", pair.piece.name);
            let is_start = |(_, at): &&(u64, u64)| starts.binary_search(at).is_ok();
            let agreeing = pair.alignment.instructions.iter().filter(is_start).count();
            assert_eq!(
                agreeing,
                pair.alignment.instructions.len(),
                "{}",
                pair.piece.name
            );
            agreed += agreeing;
        }
    }
    assert!(agreed > 1500, "{agreed}");
}
