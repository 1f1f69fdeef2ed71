//! Hostile input: nothing panics, whatever the bytes and fields are.

use livepatch_bundle::RelocKind;
use livepatch_match::{
    Code, Field, align, calls_at, disassemble, entry_layout, falls_through, padding_after,
    tail_jumps, text_branches_into,
};
use proptest::prelude::*;

fn field() -> impl Strategy<Value = Field> {
    let offset = prop_oneof![9 => 0..80u64, 1 => any::<u64>()];
    let addend = prop_oneof![9 => -100..100i64, 1 => any::<i64>()];
    let kind = prop::sample::select(RelocKind::ALL);
    (offset, kind, any::<u32>(), addend, any::<bool>()).prop_map(
        |(offset, kind, symbol, addend, inside)| Field {
            offset,
            kind,
            symbol,
            addend,
            inside,
        },
    )
}

/// Bytes among which those that matter here are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let opcodes: &[u8] = &[
        0x90, 0x66, 0x67, 0x2e, 0x64, 0xf0, 0x48, 0x4c, 0x0f, 0x1f, 0xe8, 0xe9, 0xeb, 0x75, 0xff,
        0x15, 0x25, 0x8b, 0x8d, 0x05, 0x3d, 0xc3, 0x00,
    ];
    let byte = prop_oneof![3 => prop::sample::select(opcodes), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..80)
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    let sorted = |mut fields: Vec<Field>, sort: bool| {
        if sort {
            fields.sort_by_key(|field| field.offset);
        }
        fields
    };
    (
        prop::collection::vec(field(), 0..6),
        prop::bool::weighted(0.9),
    )
        .prop_map(move |(fields, sort)| sorted(fields, sort))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_panics(
        (left, right) in (bytes(), bytes()),
        (mine, others) in (fields(), fields()),
        base in prop_oneof![Just(0), Just(u64::MAX - 3), any::<u64>()],
    ) {
        let left = Code { bytes: &left, base, fields: Some(&mine) };
        let final_addresses = Code { bytes: left.bytes, base, fields: None };
        for right in [
            Code { bytes: &right, base, fields: None },
            Code { bytes: &right, base, fields: Some(&others) },
            left,
            final_addresses,
        ] {
            let _ = align(&left, &right).map_err(|error| error.to_string());
            let _ = align(&right, &final_addresses);
            let _ = text_branches_into(&right, &(1..5));
            let _ = (tail_jumps(&right), falls_through(&right));
        }
        let _ = (disassemble(left.bytes, base), entry_layout(left.bytes, 5), calls_at(left.bytes));
        prop_assert!(padding_after(left.bytes) <= left.bytes.len());
    }

    #[test]
    fn code_without_relocations_is_the_same_as_itself(code in bytes(), base in any::<u64>()) {
        let left = Code { bytes: &code, base: 0, fields: Some(&[]) };
        let right = Code { bytes: &code, base, fields: None };
        if let Ok(alignment) = align(&left, &left) {
            prop_assert_eq!(alignment.lengths, (code.len() as u64, code.len() as u64));
            prop_assert!(alignment.instructions.iter().all(|(a, b)| a == b));
            let run_time = align(&left, &right).expect("the same");
            prop_assert_eq!(run_time.instructions, alignment.instructions);
        }
    }
}
