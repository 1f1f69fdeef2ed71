//! Compiling the probe, the floor and the patches.

use anyhow::{Result, ensure};
use livepatch_tests::tools::{patchgen, run, target_directory, tests_directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and its patch.
pub(crate) struct Subject {
    /// The probe.
    pub(crate) program: PathBuf,
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// How many functions it changes.
    pub(crate) functions: usize,
}

/// Everything that is run.
pub(crate) struct Bench {
    /// The program that only stops and releases.
    pub(crate) floor: PathBuf,
    /// One function.
    pub(crate) one: Subject,
    /// A thousand functions more.
    pub(crate) many: Subject,
}

impl Bench {
    /// Compiles all of it into `target/bench`.
    pub(crate) fn build() -> Result<Self> {
        let directory = target_directory().join("bench");
        fs::create_dir_all(&directory)?;
        let floor = directory.join("floor");
        gcc(&[], &["floor.c"], &floor)?;
        let one = subject(&directory, "one", &[], 1)?;
        let many = subject(&directory, "many", &["-DMANY"], 1001)?;
        Ok(Self { floor, one, many })
    }
}

fn subject(directory: &Path, name: &str, flags: &[&str], functions: usize) -> Result<Subject> {
    let path = |suffix: &str| directory.join(format!("{name}{suffix}"));
    let object = |suffix: &str, more: &[&str]| -> Result<PathBuf> {
        let object = path(suffix);
        gcc(&[&["-c"], flags, more].concat(), &["answer.c"], &object)?;
        Ok(object)
    };
    let sections = ["-ffunction-sections", "-fdata-sections"];
    let running = object(".o", &["-DADD=1"])?;
    let old = object(".old.o", &[&["-DADD=1"], &sections[..]].concat())?;
    let new = object(".new.o", &[&["-DADD=2"], &sections[..]].concat())?;

    let program = path("");
    let running = running.to_string_lossy();
    gcc(&["-pthread"], &["probe.c", &running], &program)?;
    let bundle = path(".lpatch");
    patchgen([&old, &new, &PathBuf::from("-o"), &bundle])?.expect(0)?;
    ensure!(bundle.exists(), "`patchgen` wrote no bundle");
    Ok(Subject {
        program,
        bundle,
        functions,
    })
}

/// Compiles sources of this directory, as a distribution would.
fn gcc(flags: &[&str], sources: &[&str], output: &Path) -> Result<()> {
    let mut compiler = Command::new("gcc");
    compiler
        .current_dir(tests_directory().join("bench"))
        .args(["-O2", "-g"])
        .args(flags)
        .args(sources)
        .arg("-o")
        .arg(output);
    run(&mut compiler)?.expect(0).map(drop)
}
