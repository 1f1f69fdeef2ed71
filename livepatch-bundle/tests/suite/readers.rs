//! Other people's readers take our files for what they are: binutils, goblin, and object's high-level reader.

use crate::samples;
use livepatch_bundle::{PrivateKey, write, write_file, write_signed_file};
use object::{Object, ObjectSection, ObjectSymbol};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn stored() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("fix.lpatch");
    write_file(&samples::small(), &path).expect("it can be written");
    (directory, path)
}

/// Runs a tool of binutils, which must succeed and have nothing to complain about.
fn binutils(tool: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| {
            panic!("`{tool}` is needed for this test (apt install binutils): {error}")
        });
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {complaints}");
    assert!(complaints.is_empty(), "{tool}: {complaints}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn readelf_shows_everything() {
    let (_directory, path) = stored();
    let text = binutils("readelf", &["-aW"], &path);
    assert_contains(
        &text,
        &[
            "REL (Relocatable file)",
            "Advanced Micro Devices X86-64",
            ".livepatch.old.text.answer",
            "Relocation section '.rela.text.answer'",
            "R_X86_64_PLT32         0000000000000000 puts - 4",
            "FUNC    LOCAL  DEFAULT    1 answer.new",
            "NOTYPE  GLOBAL DEFAULT  UND puts",
        ],
    );
    assert!(!text.to_lowercase().contains("warning"), "{text}");
    assert!(!text.contains("<corrupt"), "{text}");
}

#[test]
fn readelf_prints_the_manifest() {
    let (_directory, path) = stored();
    let text = binutils("readelf", &["-p", ".livepatch.manifest"], &path);
    assert_contains(&text, &["\"schema\": 1", "\"name\": \"fix-1.0_a+b\""]);
}

#[test]
fn readelf_and_objdump_decode_the_unwind_records() {
    let (_directory, path) = stored();
    let text = binutils("readelf", &["-wf"], &path);
    assert_contains(
        &text,
        &["FDE cie=00000000 pc=", "DW_CFA_def_cfa: r7 (rsp) ofs 8"],
    );
}

#[test]
fn objdump_disassembles_new_and_old_code() {
    let (_directory, path) = stored();
    let new = binutils("objdump", &["-dr"], &path);
    assert_contains(&new, &["<answer.new>:", "call", "R_X86_64_PLT32\tputs-0x4"]);
    let old = binutils(
        "objdump",
        &["-Dr", "-j", ".livepatch.old.text.answer"],
        &path,
    );
    assert_contains(&old, &["<answer.old>:", "R_X86_64_PLT32\tputs-0x4"]);
}

#[test]
fn nm_tells_kinds() {
    let (_directory, path) = stored();
    let text = binutils("nm", &[], &path);
    assert_contains(&text, &["t answer.new", "d counter", "b room", "U puts"]);
}

#[test]
fn a_signature_is_one_more_section_for_all() {
    let key = PrivateKey::generate().expect("the system has random bytes");
    let (_directory, path) = stored();
    write_signed_file(&samples::small(), &key, &path).expect("writable");
    let dump = binutils("readelf", &["-x", ".livepatch.signature"], &path);
    assert_contains(&dump, &["livepatch-sig-1."]);
    assert!(binutils("objdump", &["-dr"], &path).contains("answer.new"));
    let bytes = std::fs::read(&path).expect("just written");
    let sections = |bytes: &[u8]| {
        let elf = goblin::elf::Elf::parse(bytes).expect("goblin reads it");
        elf.section_headers.len()
    };
    let plain = write(&samples::small()).expect("the sample is valid");
    assert_eq!(sections(&bytes), sections(&plain) + 1);
}

#[test]
fn goblin_agrees() {
    let bytes = write(&samples::small()).expect("the sample is valid");
    let elf = goblin::elf::Elf::parse(&bytes).expect("goblin reads it");
    let bundle = samples::small();
    let names: Vec<_> = elf
        .syms
        .iter()
        .skip(1)
        .map(|symbol| &elf.strtab[symbol.st_name])
        .collect();
    let expected: Vec<_> = bundle.symbols.iter().map(|symbol| &*symbol.name).collect();
    assert_eq!(names, expected);
    let relocations: usize = elf
        .shdr_relocs
        .iter()
        .map(|(_, section)| section.len())
        .sum();
    let expected: usize = bundle
        .sections
        .iter()
        .map(|section| section.relocations.len())
        .sum();
    assert_eq!(relocations, expected);
}

#[test]
fn objects_own_reader_agrees() {
    let bytes = write(&samples::small()).expect("the sample is valid");
    let file = object::File::parse(&*bytes).expect("object reads it");
    for section in &samples::small().sections {
        let found = file.section_by_name(&section.name).expect("it is there");
        assert_eq!((found.size(), found.align()), (section.size, section.align));
        assert_eq!(found.data().expect("in bounds"), section.data);
        let offsets: Vec<u64> = found.relocations().map(|(offset, _)| offset).collect();
        let expected: Vec<u64> = section
            .relocations
            .iter()
            .map(|reloc| reloc.offset)
            .collect();
        assert_eq!(offsets, expected);
    }
    let undefined: Vec<_> = file
        .symbols()
        .filter(|symbol| symbol.is_undefined())
        .map(|symbol| symbol.name().expect("in bounds").to_owned())
        .collect();
    assert_eq!(undefined, ["answer", "puts"]);
}
