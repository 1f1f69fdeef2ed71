//! Cases of the kernel's: C sources with its macros (`kernel/kernel.h`), compiled twice with its flags, and what
//! `patchgen --kernel-object` must say about the pair.
//!
//! | directive   | meaning                                                                |
//! |-------------|------------------------------------------------------------------------|
//! | `Flags`     | more compiler flags                                                    |
//! | `Changed`   | exactly these functions are replaced                                   |
//! | `Functions` | exactly these are defined                                              |
//! | `New`       | these symbols travel                                                   |
//! | `NotNew`    | these do not                                                           |
//! | `Livepatch` | these are left to the livepatch core to find                           |
//! | `Undefined` | these are left to the module loader to find                            |
//! | `Entries`   | a section, and how many bytes it has                                   |
//! | `NoSectionSymbol` | these sections have no symbol of their own in the old object   |
//! | `Refused`   | patchgen refuses; standard error has this text                         |
//! | `Unchanged` | no functional change                                                   |

mod support;

use livepatch_bundle::read_kernel;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::directives::Directives;
use support::{Run, compile, kernel_flags, run};

/// Symbols that the livepatch core resolves.
const LIVEPATCH: &str = ".klp.sym.vmlinux.";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel")
}

#[test]
fn every_case_is_as_its_source_says() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(sources())
        .expect("the cases are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    cases.sort();
    assert!(cases.len() > 70, "only {} cases", cases.len());
    let failures: Vec<String> = cases.par_iter().flat_map_iter(|case| check(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Path) -> Vec<String> {
    let source = std::fs::read_to_string(case).expect("readable");
    let directives = Directives::of(&source);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let include = format!("-I{}", sources().display());
    let flags: Vec<&str> = kernel_flags()
        .into_iter()
        .chain([include.as_str()])
        .collect();
    let flags: Vec<&str> = flags.into_iter().chain(directives.words("Flags")).collect();
    let old = compile(directory.path(), case, "old", &flags);
    let flags: Vec<&str> = flags.into_iter().chain(["-DNEW"]).collect();
    let new = compile(directory.path(), case, "new", &flags);
    let output = directory.path().join("fix.kpatch");
    let mut patchgen = Command::new(env!("CARGO_BIN_EXE_patchgen"));
    patchgen.arg("--kernel-object").args([&old, &new]);
    let run = run(patchgen.arg("-o").arg(&output));
    let problems = if directives.has("Refused") {
        let lacks = |text: &&String| run.status != 4 || !run.stderr.contains(text.as_str());
        let missing = directives.lines("Refused").iter().filter(lacks);
        missing
            .map(|text| said(&format!("no refusal `{text}`"), &run))
            .collect()
    } else if directives.has("Unchanged") {
        let wrong = run.status != 3 || output.exists();
        wrong
            .then(|| said("it is not unchanged", &run))
            .into_iter()
            .collect()
    } else if run.status == 0 {
        patched(&directives, &output)
    } else {
        vec![said("no patch", &run)]
    };
    let name = case.file_stem().unwrap_or_default().display();
    problems
        .into_iter()
        .chain(section_symbols(&directives, &old))
        .map(|problem| format!("{name}: {problem}"))
        .collect()
}

/// Symbols of sections that should have none: the case would show nothing.
fn section_symbols(directives: &Directives, object: &Path) -> Vec<String> {
    let bytes = std::fs::read(object).expect("written");
    let file = object::File::parse(&bytes[..]).expect("an object file");
    let symbols = file.symbols();
    let sections = symbols.filter(|symbol| symbol.kind() == SymbolKind::Section);
    let named: BTreeSet<String> = sections
        .filter_map(|symbol| file.section_by_index(symbol.section_index()?).ok())
        .filter_map(|section| Some(section.name().ok()?.to_owned()))
        .collect();
    let wanted = directives.words("NoSectionSymbol");
    let there = wanted.into_iter().filter(|name| named.contains(*name));
    there.map(|name| format!("`{name}` has a symbol")).collect()
}

fn said(what: &str, run: &Run) -> String {
    format!(
        "{what}: status {}: {}{}",
        run.status, run.stdout, run.stderr
    )
}

fn patched(directives: &Directives, output: &Path) -> Vec<String> {
    let bytes = std::fs::read(output).expect("written");
    let manifest = read_kernel(&bytes).expect("a manifest");
    let file = object::File::parse(&bytes[..]).expect("an object file");
    let mut problems = Vec::new();
    let replaced = manifest.objects.iter().flat_map(|object| &object.functions);
    let replaced: BTreeSet<&str> = replaced.map(|function| function.name.as_str()).collect();
    compare(
        "replaced",
        &replaced,
        &directives.words("Changed"),
        &mut problems,
    );
    let defined = file.symbols().filter(|symbol| symbol.is_definition());
    let functions = defined.filter(|symbol| symbol.kind() == SymbolKind::Text);
    let functions: BTreeSet<&str> = functions.filter_map(|symbol| symbol.name().ok()).collect();
    if directives.has("Functions") {
        compare(
            "defined",
            &functions,
            &directives.words("Functions"),
            &mut problems,
        );
    }
    let defined = file.symbols().filter(|symbol| symbol.is_definition());
    let names: BTreeSet<&str> = defined.filter_map(|symbol| symbol.name().ok()).collect();
    let undefined = file.symbols().filter(|symbol| symbol.is_undefined());
    let undefined: BTreeSet<&str> = undefined.filter_map(|symbol| symbol.name().ok()).collect();
    let all: BTreeSet<&str> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    let mut unless = |right: bool, what: String| problems.extend((!right).then_some(what));
    for name in directives.words("New") {
        unless(
            names.contains(name),
            format!("`{name}` does not travel: {names:?}"),
        );
    }
    for name in directives.words("NotNew") {
        unless(!names.contains(name), format!("`{name}` travels"));
    }
    for name in directives.words("Undefined") {
        unless(
            undefined.contains(name),
            format!("`{name}` is not undefined: {undefined:?}"),
        );
    }
    for name in directives.words("Livepatch") {
        let symbol = format!("{LIVEPATCH}{name},0");
        unless(
            all.contains(symbol.as_str()),
            format!("no `{symbol}`: {all:?}"),
        );
    }
    for line in directives.lines("Entries") {
        let (name, size) = line.split_once(' ').expect("a section and its size");
        let found = file
            .section_by_name(name)
            .map_or(0, |section| section.size());
        unless(
            found.to_string() == size,
            format!("`{name}` has {found} bytes, not {size}"),
        );
    }
    problems
}

fn compare(what: &str, found: &BTreeSet<&str>, wanted: &[&str], problems: &mut Vec<String>) {
    let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
    if *found != wanted {
        problems.push(format!("{what}: {found:?} instead of {wanted:?}"));
    }
}
