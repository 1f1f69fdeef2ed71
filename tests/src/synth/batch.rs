//! A program of several units: compiled, patched unit by unit, and compared.

use super::{Mutation, Pair, pair};
use crate::form::{Compiler, Form};
use crate::random::Random;
use crate::target::{Target, dying};
use crate::tools::{livepatch, patchgen, run};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many steps the programs take before, with and after the patches.
const STEPS: usize = 24;

/// What became of a unit's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Applied, and it answers as the new version does.
    Applied,
    /// `patchgen` found no functional change, and the new version answers as the old one.
    Unchanged,
    /// Refused: by whom, and why.
    Refused(&'static str, String),
    /// It answers otherwise, or something failed.
    Wrong(String),
}

/// A unit's change and what became of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Number of the unit in its batch.
    pub unit: usize,
    /// What differed.
    pub mutation: Mutation,
    /// How it was compiled.
    pub form: Form,
    /// What became of it.
    pub fate: Fate,
}

/// Makes up a program of `count` units, changes and patches each.
///
/// # Errors
/// When a compiler complains or a program cannot be run.
pub fn run_batch(seed: u64, count: usize, directory: &Path) -> Result<Vec<Trial>> {
    let mut random = Random::new(seed);
    let pairs: Vec<Pair> = (0..count)
        .map(|unit| pair(&mut random, &format!("unit{unit}")))
        .collect();
    fs::create_dir_all(directory)?;
    let batch = Batch { directory, pairs };
    batch.compile()?;
    batch.run()
}

struct Batch<'b> {
    directory: &'b Path,
    pairs: Vec<Pair>,
}

impl Batch<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn object(&self, version: &str, unit: usize) -> PathBuf {
        self.path(&format!("{version}/unit{unit}.o"))
    }

    fn compile(&self) -> Result<()> {
        for version in ["old", "new"] {
            fs::create_dir_all(self.path(version))?;
            for (unit, pair) in self.pairs.iter().enumerate() {
                let source = if version == "old" {
                    &pair.old
                } else {
                    &pair.new
                };
                let name = format!("{version}/unit{unit}.c");
                fs::write(self.path(&name), source)?;
                let mut compiler = compiler(&pair.form);
                compiler
                    .current_dir(self.path(version))
                    .args(["-c", &format!("unit{unit}.c"), "-o"])
                    .arg(self.object(version, unit));
                run(&mut compiler)?.expect(0)?;
            }
        }
        fs::write(self.path("host.c"), host(self.pairs.len()))?;
        let mut compiler = Command::new("gcc");
        compiler.current_dir(self.directory);
        run(compiler.args(["-O1", "-c", "host.c"]))?.expect(0)?;
        Ok(())
    }

    /// Links a program of the new version of the units that `new` says so of.
    fn link(&self, name: &str, new: impl Fn(usize) -> bool) -> Result<Target> {
        let objects = (0..self.pairs.len()).map(|unit| {
            let version = if new(unit) { "new" } else { "old" };
            self.object(version, unit)
        });
        let mut linker = Command::new("gcc");
        linker
            .arg(self.path("host.o"))
            .args(objects)
            .arg("-Wl,--build-id");
        run(linker.arg("-o").arg(self.path(name)))?.expect(0)?;
        Target::start(&mut dying(self.path(name)))
    }

    fn run(&self) -> Result<Vec<Trial>> {
        let mut target = self.link("program", |_| false)?;
        target.ask(&format!("s {STEPS}"))?;
        let mut fates = Vec::new();
        for unit in 0..self.pairs.len() {
            fates.push(self.patch(unit, &target).context("patch")?);
        }
        let is_new = |unit: usize| matches!(fates[unit], Fate::Applied | Fate::Unchanged);
        let reference = self.link("reference", is_new)?;
        let wrong = compare(&mut target, reference).context("with the patches")?;
        note(&mut fates, &wrong, "with the patch");
        for unit in (0..fates.len())
            .rev()
            .filter(|unit| fates[*unit] == Fate::Applied)
        {
            let name = format!("unit{unit}");
            livepatch(["revert", "--pid", &target.pid_text(), &name])?.expect(0)?;
        }
        let reference = self.link("original", |_| false)?;
        let wrong = compare(&mut target, reference).context("after the revert")?;
        note(&mut fates, &wrong, "after the revert");
        let trials = self.pairs.iter().zip(fates).enumerate();
        Ok(trials
            .map(|(unit, (pair, fate))| Trial {
                unit,
                mutation: pair.mutation,
                form: pair.form,
                fate,
            })
            .collect())
    }

    fn patch(&self, unit: usize, target: &Target) -> Result<Fate> {
        let bundle = self.path(&format!("unit{unit}.lpatch"));
        let made = patchgen([
            self.object("old", unit).as_os_str(),
            self.object("new", unit).as_os_str(),
            "-o".as_ref(),
            bundle.as_os_str(),
        ])?;
        match made.status {
            0 => {}
            3 => return Ok(Fate::Unchanged),
            4 => return Ok(Fate::Refused("patchgen", made.stderr)),
            _ => return Ok(Fate::Wrong(made.to_string())),
        }
        let applied = livepatch([
            "apply".as_ref(),
            "--pid".as_ref(),
            target.pid_text().as_ref(),
            bundle.as_os_str(),
        ])?;
        Ok(match applied.status {
            0 => Fate::Applied,
            4 => Fate::Refused("livepatch", applied.stderr),
            _ => Fate::Wrong(applied.to_string()),
        })
    }
}

fn compiler(form: &Form) -> Command {
    let mut compiler = Command::new(match form.compiler {
        Compiler::Gcc => "gcc",
        Compiler::Clang => "clang",
    });
    compiler.args([form.level_flag(), "-w", "-fPIE"]);
    if form.sections {
        compiler.args(["-ffunction-sections", "-fdata-sections"]);
    }
    compiler
}

/// Lets both programs take steps from the same state on; the units whose answers or states differ.
fn compare(target: &mut Target, mut reference: Target) -> Result<Vec<usize>> {
    let state = target.ask("d")?;
    ensure!(
        reference.ask(&format!("l {state}"))? == "ok",
        "the state cannot be set"
    );
    let mut wrong = Vec::new();
    for question in [format!("s {STEPS}"), "d".to_owned()] {
        let (one, other) = (target.ask(&question)?, reference.ask(&question)?);
        let (one, other): (Vec<_>, Vec<_>) = (one.split(';').collect(), other.split(';').collect());
        if one.len() != other.len() {
            bail!("the programs answer in other words");
        }
        wrong.extend((0..one.len()).filter(|unit| one[*unit] != other[*unit]));
    }
    Ok(wrong)
}

fn note(fates: &mut [Fate], wrong: &[usize], when: &str) {
    for unit in wrong {
        if let Some(fate) = fates.get_mut(*unit) {
            *fate = Fate::Wrong(format!(
                "{when}, it answers otherwise than the same program linked anew ({fate:?})"
            ));
        }
    }
}

/// The program that asks the units: `s N` takes steps, `d` tells the state, `l STATE` sets it.
fn host(count: usize) -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\ntypedef unsigned long u;\n",
    );
    let (mut steps, mut states) = (String::new(), String::new());
    for unit in 0..count {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "u unit{unit}_step(u); u *unit{unit}_state(u);");
        let _ = write!(steps, "unit{unit}_step, ");
        let _ = write!(states, "unit{unit}_state, ");
    }
    let _ = writeln!(text, "static u (*const steps[])(u) = {{{steps}}};");
    let _ = writeln!(text, "static u *(*const states[])(u) = {{{states}}};");
    let _ = writeln!(text, "enum {{ UNITS = {count} }};");
    text.push_str(include_str!("host.c"));
    text
}
