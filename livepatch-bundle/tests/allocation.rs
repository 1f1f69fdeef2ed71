//! Reading a hostile file takes no more memory than a small multiple of the file's length.
//!
//! A binary of its own with one test: the allocator counts for the whole process.

#[path = "suite/samples.rs"]
#[expect(dead_code, reason = "arbitrary bundles are for the other tests")]
mod samples;

use livepatch_bundle::{read, write};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The bound that the reader promises, in bytes per byte of the file, and what small files may take beyond.
const FACTOR: usize = 40;
const FLOOR: usize = 64 << 10;

fn peak_of_reading(bytes: &[u8]) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let outcome = read(bytes);
    drop(outcome);
    ALLOCATOR.peak_usage() - before
}

fn check(bytes: &[u8], what: &str) {
    let peak = peak_of_reading(bytes);
    let bound = bytes.len() * FACTOR + FLOOR;
    assert!(
        peak <= bound,
        "{what}: {peak} bytes for a file of {}",
        bytes.len()
    );
}

#[test]
fn memory_is_bounded_by_the_file() {
    let bytes = write(&samples::small()).expect("the sample is valid");
    check(&bytes, "the sample");
    for at in 0..bytes.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            check(&damaged, "a damaged byte");
        }
    }
    check(&many_symbols_of_one_long_name(), "shared names");
    check(&manifest_of_empty_strings(), "a manifest of many strings");
}

/// A long name, then many symbols whose names are its tails.
fn many_symbols_of_one_long_name() -> Vec<u8> {
    let mut bundle = samples::small();
    let count = 20_000;
    let symbol = |name: String| livepatch_bundle::Symbol {
        name,
        ..bundle.symbols[1].clone()
    };
    let mut symbols = vec![symbol("x".repeat(100_000))];
    symbols.extend((0..count).map(|number| symbol(format!("{number:06}"))));
    symbols.append(&mut bundle.symbols);
    for section in &mut bundle.sections {
        section.relocations.clear();
    }
    bundle.symbols = symbols;
    let mut bytes = write(&bundle).expect("still valid");
    // st_name of `symbols[n]` becomes n: the long name from its n-th letter on.
    let table = symbol_table(&bytes);
    for number in 1..=count {
        let at = table + number * 24;
        bytes[at..at + 4].copy_from_slice(&u32::try_from(number).expect("small").to_le_bytes());
    }
    bytes
}

fn symbol_table(bytes: &[u8]) -> usize {
    use object::{Object, ObjectSection};
    let file = object::File::parse(bytes).expect("just written");
    let section = file.section_by_name(".symtab").expect("it has one");
    usize::try_from(section.file_range().expect("in the file").0).expect("small")
}

fn manifest_of_empty_strings() -> Vec<u8> {
    let mut bundle = samples::small();
    bundle.manifest.warnings = vec![String::new(); 100_000];
    write(&bundle).expect("still valid")
}
