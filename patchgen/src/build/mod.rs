//! From a source tree, a patch and a build command to pairs of objects (`patchgen build`).
//!
//! | step     | module                                    | what happens                                                |
//! |----------|-------------------------------------------|-------------------------------------------------------------|
//! | copy     | `tree`                                    | the tree is copied twice; one copy gets the patch           |
//! | build    | [`inside`], `trace`, `recorder`           | each copy is built at the tree's own path, and followed     |
//! | choose   | `pairs`                                   | which link makes the target, which of its objects changed   |
//! | again    | `again`                                   | changed objects are compiled again, with function sections  |
//! | generate | [`generate`](crate::generate)             | the patch                                                   |
//!
//! The user's tree, compiler and debug files are only read: a copy lies over the tree in a mount namespace that nobody
//! else sees. What the build command writes elsewhere, it does write.

mod again;
mod arguments;
mod error;
pub mod inside;
mod linked;
mod pairs;
pub mod record;
mod recorder;
mod trace;
mod tree;

pub use error::BuildError;
pub(crate) use tree::patch as patch_tree;

use crate::generate::{Options, Outcome, generate};
use crate::input::PairBytes;
use crate::target::Image;
use inside::{Action, Again, Job};
use pairs::{Outputs, Paired};
use record::{Input, Record};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// What to build, and how.
#[derive(Debug)]
pub struct Plan {
    /// The source tree of the program that runs.
    pub source: PathBuf,
    /// The patches, applied in this order.
    pub patches: Vec<PathBuf>,
    /// The build command, run in the tree.
    pub command: Vec<String>,
    /// The executable or library that runs.
    pub target: Option<PathBuf>,
    /// Which of the things that the build links, by its path within the tree.
    pub link: Option<PathBuf>,
    /// An empty directory for copies and objects.
    pub scratch: PathBuf,
}

/// The two versions.
const VERSIONS: [&str; 2] = ["old", "new"];

/// Builds twice and makes the patch. `options` are for [`generate`]; the target is added. `told` hears of each step.
///
/// # Errors
/// When the patch does not apply, a build fails, or the target is not of it.
pub fn build(
    plan: &Plan,
    mut options: Options,
    told: &mut dyn FnMut(&str),
) -> Result<Outcome, BuildError> {
    let target = plan
        .target
        .as_ref()
        .map(|path| Image::read(path))
        .transpose()?;
    let source = fs::canonicalize(&plan.source).map_err(BuildError::io("find", &plan.source))?;
    let scratch = fs::canonicalize(&plan.scratch).map_err(BuildError::io("find", &plan.scratch))?;
    if scratch.starts_with(&source) {
        return Err(BuildError::Scratch(scratch));
    }
    let work = Work {
        source,
        scratch,
        command: &plan.command,
    };
    work.copy(&plan.patches, told)?;
    let [old, new] = [
        work.build(VERSIONS[0], told)?,
        work.build(VERSIONS[1], told)?,
    ];
    let (copy, store) = (work.copy_of(VERSIONS[0]), work.store());
    let outputs = Outputs {
        source: &work.source,
        copy: &copy,
        store: &store,
    };
    let link = outputs.choose(
        plan.link.as_deref(),
        plan.target.as_deref().zip(target.as_ref()),
        &old,
        &new,
    )?;
    let Some(link) = link else {
        return Ok(Outcome::Unchanged);
    };
    let pairs = outputs.paired(link, &new);
    let (changed, same): (Vec<Paired<'_>>, Vec<Paired<'_>>) =
        pairs.into_iter().partition(Paired::is_changed);
    told(&format!(
        "`{}`: {} of {} objects changed",
        link.output.display(),
        changed.len(),
        changed.len() + same.len()
    ));
    if changed.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    options.targets.extend(target);
    let optimised = work.again(
        VERSIONS[0],
        &old,
        changed.iter().filter_map(|pair| pair.old),
    )?;
    if optimised {
        told(
            "warning: the linker optimises this program (`-flto`), and what changed is compiled without that: the \
             patch fits only where the code is the same",
        );
    }
    work.again(
        VERSIONS[1],
        &new,
        changed.iter().filter_map(|pair| pair.new),
    )?;
    work.best(&changed, &same, &options)
}

struct Work<'p> {
    source: PathBuf,
    scratch: PathBuf,
    command: &'p [String],
}

impl Work<'_> {
    fn copy_of(&self, version: &str) -> PathBuf {
        self.scratch.join(version)
    }

    fn copy(&self, patches: &[PathBuf], told: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
        told("copying the source tree");
        for version in VERSIONS {
            tree::copy(&self.source, &self.copy_of(version))?;
        }
        for patch in patches {
            let patch = fs::canonicalize(patch).map_err(BuildError::io("find", patch))?;
            tree::patch(&self.copy_of(VERSIONS[1]), &patch)?;
        }
        fs::create_dir_all(self.store()).map_err(BuildError::io("make", self.store()))
    }

    fn store(&self) -> PathBuf {
        self.scratch.join("objects")
    }

    fn build(
        &self,
        version: &'static str,
        told: &mut dyn FnMut(&str),
    ) -> Result<Record, BuildError> {
        told(&format!("building the {version} source"));
        let record = self.scratch.join(format!("{version}.record"));
        let action = Action::Build {
            command: self.command.to_vec(),
            store: self.store(),
            record: record.clone(),
        };
        let status = self.inside(version, action)?;
        if !status.success() {
            return Err(BuildError::build(version, status));
        }
        let bytes = fs::read(&record).map_err(BuildError::io("read", record))?;
        let record: Record = serde_json::from_slice(&bytes)?;
        if record.links.is_empty() {
            return Err(BuildError::Nothing(version));
        }
        Ok(record)
    }

    /// Does a job in a copy, by another `patchgen`.
    fn inside(&self, version: &str, action: Action) -> Result<ExitStatus, BuildError> {
        let path = self.scratch.join(format!("{version}.job"));
        let job = Job {
            copy: self.copy_of(version),
            source: self.source.clone(),
            action,
        };
        fs::write(&path, serde_json::to_vec(&job)?).map_err(BuildError::io("write", &path))?;
        let own = std::env::current_exe().map_err(BuildError::io("find", "patchgen"))?;
        let mut command = Command::new(own);
        command.arg("inside").arg(&path);
        if std::env::var_os("SOURCE_DATE_EPOCH").is_none() {
            // What compilers make of __DATE__ and __TIME__ is then the same twice.
            command.env("SOURCE_DATE_EPOCH", "1");
        }
        command
            .status()
            .map_err(BuildError::io("run", "patchgen inside"))
    }

    /// Compiles changed objects again; whether the build left one of them to the linker to optimise.
    fn again<'i>(
        &self,
        version: &str,
        record: &Record,
        inputs: impl Iterator<Item = &'i Input>,
    ) -> Result<bool, BuildError> {
        let all: Vec<Again> = inputs
            .filter_map(|input| again::again(record, input, &self.remade(version, input)))
            .collect();
        let optimised = all.iter().any(Again::has_link_time_optimisation);
        self.inside(version, Action::Compile(all))?;
        Ok(optimised)
    }

    fn remade(&self, version: &str, input: &Input) -> PathBuf {
        self.store().join(format!("{}.{version}", input.digest))
    }

    /// The patch from the changed objects compiled again, or with all objects of the program, or as they were built:
    /// the first that is not refused, else why the first was.
    fn best(
        &self,
        changed: &[Paired<'_>],
        same: &[Paired<'_>],
        options: &Options,
    ) -> Result<Outcome, BuildError> {
        let remade = self.bytes(changed, true)?;
        let mut outcome = generate(&remade, options)?;
        if let Outcome::Refused(first) = outcome {
            let mut all = remade;
            all.extend(self.bytes(same, false)?);
            let more = generate(&all, options)?;
            outcome = match more {
                Outcome::Refused(_) => generate(&self.bytes(changed, false)?, options)?,
                other => other,
            };
            if matches!(outcome, Outcome::Refused(_)) {
                outcome = Outcome::Refused(first);
            }
        }
        Ok(outcome)
    }

    fn bytes(&self, pairs: &[Paired<'_>], remade: bool) -> Result<Vec<PairBytes>, BuildError> {
        let both_remade = |pair: &Paired<'_>| {
            let old = pair
                .old
                .is_none_or(|input| self.remade(VERSIONS[0], input).exists());
            old && pair
                .new
                .is_none_or(|input| self.remade(VERSIONS[1], input).exists())
        };
        let read = |input: Option<&Input>, version: &str, remade: bool| {
            let path = input.map(|input| match remade {
                true => self.remade(version, input),
                false => self.store().join(&input.digest),
            });
            let bytes = path.map(|path| fs::read(&path).map_err(BuildError::io("read", path)));
            bytes.transpose()
        };
        let each = pairs.iter().map(|pair| {
            let remade = remade && both_remade(pair);
            Ok(PairBytes {
                name: self.shown(&pair.name),
                old: read(pair.old, VERSIONS[0], remade)?,
                new: read(pair.new, VERSIONS[1], remade)?,
            })
        });
        each.collect()
    }

    /// The object's name within the tree.
    fn shown(&self, name: &str) -> String {
        let inside = Path::new(name).strip_prefix(&self.source);
        inside.map_or_else(|_| name.to_owned(), |path| path.display().to_string())
    }
}
