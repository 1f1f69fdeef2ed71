//! Damaged and hostile files: never a panic, and what is accepted keeps every rule.
//!
//! `LIVEPATCH_FUZZ_CASES` raises the number of random cases.

use crate::fields::{fields, records};
use crate::samples;
use livepatch_bundle::{read, verify, write};
use object::LittleEndian as LE;
use object::elf::FileHeader64;
use object::read::elf::FileHeader;
use proptest::prelude::*;
use std::error::Error;

/// Reads; an accepted bundle must verify and come back from its own encoding, an error must be short.
fn probe(bytes: &[u8]) {
    match read(bytes) {
        Ok(bundle) => {
            verify(&bundle).expect("an accepted bundle keeps the rules");
            let again = write(&bundle).expect("it can be written");
            assert_eq!(read(&again).expect("and read"), bundle);
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(source) = next {
                text += &source.to_string();
                next = source.source();
            }
            assert!(text.len() < 64 << 10, "{} bytes of message", text.len());
            let lines = |c: char| c == '\n';
            assert!(
                !text.chars().any(|c| c.is_control() && !lines(c)),
                "{text:?}"
            );
        }
    }
}

fn sample() -> Vec<u8> {
    write(&samples::small()).expect("the sample is valid")
}

#[test]
fn every_bit_of_every_byte() {
    let mut bytes = sample();
    for at in 0..bytes.len() {
        let original = bytes[at];
        for value in (0..8).map(|bit| original ^ 1 << bit).chain([0, 0xff]) {
            bytes[at] = value;
            probe(&bytes);
        }
        bytes[at] = original;
    }
}

#[test]
fn every_field_of_every_table_with_awkward_values() {
    let original = sample();
    let len = original.len() as u64;
    let small = [
        0, 1, 2, 3, 5, 7, 8, 15, 16, 0x20, 0x40, 0xff, 0xff00, 0xfff1, 0xfff2, 0xffff,
    ];
    let large = [
        len - 1,
        len,
        len + 1,
        1 << 31,
        (1 << 31) - 1,
        u64::from(u32::MAX),
        1 << 63,
        i64::MAX.cast_unsigned(),
        u64::MAX,
        u64::MAX - 7,
    ];
    let mut bytes = original.clone();
    for field in fields(&original) {
        let old = u64_of(&original[field.clone()]);
        let near = [
            old.wrapping_sub(1),
            old.wrapping_add(1),
            old.wrapping_mul(2),
        ];
        for value in small.into_iter().chain(large).chain(near) {
            let width = field.len().min(8);
            bytes[field.start..field.start + width].copy_from_slice(&value.to_le_bytes()[..width]);
            probe(&bytes);
        }
        bytes[field.clone()].copy_from_slice(&original[field]);
    }
}

fn u64_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[test]
fn a_file_that_points_everywhere_at_the_same_bytes() {
    let original = sample();
    let header = FileHeader64::<LE>::parse(&*original).expect("the sample is an ELF file");
    let table = usize::try_from(header.e_shoff(LE)).expect("a small file");
    let mut bytes = original.clone();
    for record in records(table..original.len(), &[24, 8, 8, 24]).chunks(4) {
        bytes[record[1].clone()].copy_from_slice(&64_u64.to_le_bytes());
        bytes[record[2].clone()].copy_from_slice(&256_u64.to_le_bytes());
    }
    assert!(read(&bytes).is_err());
}

fn config() -> ProptestConfig {
    let cases = std::env::var("LIVEPATCH_FUZZ_CASES").ok();
    ProptestConfig::with_cases(cases.map_or(256, |text| {
        text.parse()
            .expect("LIVEPATCH_FUZZ_CASES is a number of cases")
    }))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        probe(&bytes);
    }

    #[test]
    fn random_bytes_after_a_good_header(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut file = sample();
        file.truncate(64);
        // e_shoff: right after the header, so that the random bytes are section headers first.
        file[0x28] = 64;
        file[0x29..0x30].fill(0);
        file[0x3c] = 4;
        file[0x3e] = 1;
        file.extend(bytes);
        probe(&file);
    }

    #[test]
    fn several_damages(
        bundle in samples::arbitrary(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = write(&bundle).expect("the strategy makes valid bundles");
        for (at, value) in damages {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        probe(&bytes);
    }

    #[test]
    fn fields_that_swap_values(
        bundle in samples::arbitrary(),
        swaps in proptest::collection::vec(any::<[prop::sample::Index; 2]>(), 1..5),
    ) {
        let mut bytes = write(&bundle).expect("the strategy makes valid bundles");
        let fields = fields(&bytes);
        for [from, to] in swaps {
            let (from, to) = (from.get(&fields).clone(), to.get(&fields).clone());
            let width = from.len().min(to.len());
            bytes.copy_within(from.start..from.start + width, to.start);
        }
        probe(&bytes);
    }

    #[test]
    fn a_piece_cut_out_or_repeated(
        bundle in samples::arbitrary(),
        range in any::<[prop::sample::Index; 2]>(),
        repeat in any::<bool>(),
    ) {
        let mut bytes = write(&bundle).expect("the strategy makes valid bundles");
        let mut ends = range.map(|index| index.index(bytes.len()));
        ends.sort_unstable();
        let piece = bytes[ends[0]..ends[1]].to_vec();
        if repeat {
            bytes.splice(ends[0]..ends[0], piece);
        } else {
            bytes.drain(ends[0]..ends[1]);
        }
        probe(&bytes);
    }
}
