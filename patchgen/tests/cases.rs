//! Cases: sources in C, C++ or Rust that are compiled twice, once with `-DNEW`, and what `patchgen` must say about the pair.
//!
//! Directives in the source (`//#Name: words`), each may repeat:
//!
//! | directive    | meaning                                                                         |
//! |--------------|---------------------------------------------------------------------------------|
//! | `Flags`      | more compiler flags                                                             |
//! | `FlagsOld`, `FlagsNew` | the same for one version                                              |
//! | `Options`    | options of `patchgen`                                                           |
//! | `Changed`    | exactly these functions are replaced                                            |
//! | `New`        | these symbols travel                                                            |
//! | `NotNew`     | these do not                                                                    |
//! | `Reference`  | these are referred to where they run                                            |
//! | `Quiesce`    | these, too, may be on no stack                                                  |
//! | `Anchor`     | these unchanged functions travel to locate what the new code needs              |
//! | `Refused`    | patchgen refuses; standard error has this text                                  |
//! | `Refusals`   | how many reasons it gives                                                       |
//! | `Unchanged`  | no functional change                                                            |
//! | `Hook`       | a phase and the function that runs in it; exactly these                         |
//! | `Warning`    | the manifest has a warning with this text                                       |

mod support;

use livepatch_bundle::Bundle;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::directives::Directives;
use support::{Run, compile, link_again, patchgen, read_bundle};

#[test]
fn every_case_is_as_its_source_says() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(support::cases())
        .expect("the cases are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            let extension = path.extension().unwrap_or_default();
            ["c", "cpp", "rs"].iter().any(|one| extension == *one)
        })
        .collect();
    cases.sort();
    assert!(cases.len() > 40, "only {} cases", cases.len());
    let failures: Vec<String> = cases.par_iter().flat_map_iter(|case| run(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs a case; returns what is not as it should be.
fn run(case: &Path) -> Vec<String> {
    let source = std::fs::read_to_string(case).expect("readable");
    let directives = Directives::of(&source);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let flags = |version: &str| {
        let mut flags = directives.words("Flags");
        flags.extend(directives.words(version));
        flags
    };
    let old = compile(directory.path(), case, "old", &flags("FlagsOld"));
    let new_flags: Vec<&str> = flags("FlagsNew").into_iter().chain(["-DNEW"]).collect();
    let new = compile(directory.path(), case, "new", &new_flags);
    let output = directory.path().join("fix.lpatch");
    // A stale file, which must be replaced or removed.
    std::fs::write(&output, "stale").expect("writable");
    let run = patchgen(&old, &new, &output, &directives.words("Options"));
    let problems = if directives.has("Refused") {
        refused(&directives, &run, &output)
    } else if directives.has("Unchanged") {
        expect_status(&run, 3, &output)
    } else {
        patched(&directives, &run, &output)
    };
    let name = case
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    problems
        .into_iter()
        .map(|problem| format!("{name}: {problem}"))
        .collect()
}

fn expect_status(run: &Run, status: i32, output: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    if run.status != status {
        problems.push(format!(
            "status {} instead of {status}: {}{}",
            run.status, run.stdout, run.stderr
        ));
    }
    if status != 0 && output.exists() {
        problems.push("the stale output is still there".to_owned());
    }
    problems
}

fn refused(directives: &Directives, run: &Run, output: &Path) -> Vec<String> {
    let mut problems = expect_status(run, 4, output);
    for text in directives.lines("Refused") {
        if !run.stderr.contains(text) {
            problems.push(format!("no `{text}` in: {}", run.stderr));
        }
    }
    for count in directives.lines("Refusals") {
        let told = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("  "))
            .count();
        if told.to_string() != *count {
            problems.push(format!("{told} reasons instead of {count}: {}", run.stderr));
        }
    }
    problems
}

fn patched(directives: &Directives, run: &Run, output: &Path) -> Vec<String> {
    let mut problems = expect_status(run, 0, output);
    if !problems.is_empty() {
        return problems;
    }
    let bundle = read_bundle(output);
    problems.extend(link_again(output));
    let replaced: BTreeSet<&str> = bundle
        .manifest
        .functions
        .iter()
        .map(|function| function.name.as_str())
        .collect();
    let wanted: BTreeSet<&str> = directives.words("Changed").into_iter().collect();
    if replaced != wanted {
        problems.push(format!(
            "replaces {replaced:?} instead of {wanted:?}: {}",
            run.stdout
        ));
    }
    let new = new_symbols(&bundle);
    let references: BTreeSet<&str> = bundle
        .manifest
        .references
        .iter()
        .map(|reference| reference.symbol.as_str())
        .collect();
    for name in directives.words("New") {
        if !new.contains(name) {
            problems.push(format!("`{name}` does not travel: {new:?}"));
        }
    }
    for name in directives.words("NotNew") {
        if new.contains(name) {
            problems.push(format!("`{name}` travels"));
        }
    }
    for name in directives.words("Reference") {
        if !references.contains(name) {
            problems.push(format!("`{name}` is not referred to: {references:?}"));
        }
    }
    for name in directives.words("Quiesce") {
        if !bundle.manifest.quiesce.iter().any(|symbol| symbol == name) {
            problems.push(format!(
                "`{name}` is not to be quiesced: {:?}",
                bundle.manifest.quiesce
            ));
        }
    }
    for name in directives.words("Anchor") {
        if !bundle
            .manifest
            .anchors
            .iter()
            .any(|anchor| anchor.name == name)
        {
            problems.push(format!(
                "`{name}` is no anchor: {:?}",
                bundle.manifest.anchors
            ));
        }
    }
    let hooks = bundle.manifest.hooks.iter();
    let hooks: Vec<String> = hooks
        .map(|hook| format!("{} {}", hook.phase, hook.function))
        .collect();
    if hooks != directives.lines("Hook") {
        problems.push(format!("hooks are {hooks:?}"));
    }
    for text in directives.lines("Warning") {
        if !bundle
            .manifest
            .warnings
            .iter()
            .any(|warning| warning.contains(text))
        {
            problems.push(format!(
                "no warning `{text}`: {:?}",
                bundle.manifest.warnings
            ));
        }
    }
    problems
}

/// The symbols of new code and data.
fn new_symbols(bundle: &Bundle) -> BTreeSet<&str> {
    let symbols = bundle.symbols.iter().filter(|symbol| {
        symbol
            .definition
            .is_some_and(|definition| bundle.sections[definition.section.0].kind.is_placed())
    });
    symbols.map(|symbol| symbol.name.as_str()).collect()
}
