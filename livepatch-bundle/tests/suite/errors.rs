//! A file that is no bundle is told apart from a damaged one, and from one of another version.

use crate::samples;
use livepatch_bundle::{BundleError, read, write};

fn sample() -> Vec<u8> {
    write(&samples::small()).expect("the sample is valid")
}

fn error(bytes: &[u8]) -> BundleError {
    read(bytes).expect_err("not a bundle")
}

/// Replaces every occurrence of `old` by `new`, which is as long.
fn replaced(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = (0..bytes.len() - old.len())
        .filter(|&at| bytes[at..].starts_with(old))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(new);
    }
    bytes
}

#[test]
fn other_files() {
    assert!(matches!(error(b""), BundleError::NotElf));
    assert!(matches!(error(b"#!/bin/sh\n"), BundleError::NotElf));
    assert!(matches!(error(b"\x7fEL"), BundleError::NotElf));
}

#[test]
fn other_machines_and_kinds_of_elf_file() {
    for (offset, value, field) in [
        (4, 1, "EI_CLASS"),
        (5, 2, "EI_DATA"),
        (16, 3, "e_type"),
        (18, 183, "e_machine"),
    ] {
        let mut bytes = sample();
        bytes[offset] = value;
        let error = error(&bytes);
        let found = matches!(error, BundleError::WrongTarget { field: f, found, .. }
            if f == field && found == u64::from(value));
        assert!(found, "{error:?}");
    }
    let this_test = std::fs::read(std::env::current_exe().expect("running")).expect("readable");
    let error = error(&this_test).to_string();
    assert_eq!(
        error,
        "an ELF file with e_type 3, but a live patch for x86-64 has 1"
    );
}

#[test]
fn every_truncation() {
    let bytes = sample();
    for len in 4..bytes.len() {
        let error = error(&bytes[..len]);
        assert!(
            matches!(error, BundleError::Truncated { .. }),
            "{len}: {error:?}"
        );
    }
}

#[test]
fn a_relocatable_file_without_manifest() {
    let bytes = replaced(sample(), b".livepatch.manifest", b".livepatch.manifes_");
    assert!(matches!(error(&bytes), BundleError::NotABundle));
}

#[test]
fn another_schema() {
    let bytes = replaced(sample(), b"\"schema\": 1", b"\"schema\": 7");
    let error = error(&bytes);
    assert!(matches!(error, BundleError::UnsupportedSchema { found: 7 }));
    assert_eq!(
        error.to_string(),
        "the manifest has schema version 7, this tool reads version 1"
    );
}

#[test]
fn a_manifest_that_is_not_what_the_schema_says() {
    for (old, new) in [
        (&b"\"quiesce\""[..], &b"\"quiesse\""[..]),
        (b"\"schema\"", b"\"schemo\""),
        (b"\"tool\": ", b"\"tool\"; "),
    ] {
        let error = error(&replaced(sample(), old, new));
        assert!(matches!(error, BundleError::Manifest { .. }), "{error:?}");
        let source = std::error::Error::source(&error)
            .expect("the JSON error")
            .to_string();
        assert!(source.contains("line"), "{source}");
    }
}

#[test]
fn an_unknown_section_is_named() {
    let bytes = replaced(
        sample(),
        b".livepatch.old.text.answer",
        b".livepatch.odd.text.answer",
    );
    let error = error(&bytes).to_string();
    let expected = "section 6, `.livepatch.odd.text.answer`, of type 0x1 with flags 0x0 is none that a live patch has";
    assert_eq!(error, format!("malformed bundle: {expected}"));
}

#[test]
fn an_unknown_relocation_is_told() {
    // r_info of the call to `puts`: symbol 6, R_X86_64_PLT32.
    let bytes = replaced(
        sample(),
        &[4, 0, 0, 0, 6, 0, 0, 0],
        &[3, 0, 0, 0, 6, 0, 0, 0],
    );
    let error = error(&bytes).to_string();
    assert!(error.contains("relocation at offset 0x1"), "{error}");
    assert!(error.contains("is of the unknown kind 3"), "{error}");
}
