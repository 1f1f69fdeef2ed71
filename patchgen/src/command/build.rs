//! `patchgen build --source DIR --patch FILE -- COMMAND`.

use super::clean::Scratch;
use super::make::{conclude, labels};
use super::{Build, ERROR, Inside, sign};
use anyhow::Context;
use livepatch_bundle::check_writable;
use livepatch_cli::errln;
use patchgen::build::{BuildError, Plan, build, inside};
use patchgen::generate::Options;
use std::fs;
use std::path::Path;

/// What a hidden `patchgen inside` exits with when the build command was ended by a signal.
const SIGNALLED: u8 = 128;

pub(super) fn run(arguments: &Build) -> anyhow::Result<u8> {
    let key = sign::key(arguments.choices.sign_key.as_deref())?;
    let parent = arguments.work.clone().unwrap_or_else(std::env::temp_dir);
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| after(&arguments.patch));
    let writable = check_writable(&output);
    writable.with_context(|| format!("cannot write `{}`", output.display()))?;
    let scratch = Scratch::new(&parent, arguments.keep)?;
    if arguments.keep {
        errln!("patchgen: working in `{}`", scratch.path().display());
    }
    let plan = Plan {
        source: arguments.source.clone(),
        patches: arguments.patch.clone(),
        command: arguments.command.clone(),
        target: arguments.target.clone(),
        link: arguments.link.clone(),
        scratch: scratch.path().to_owned(),
    };
    let options = Options {
        labels: labels(&arguments.choices, &output)?,
        allow_data: arguments.choices.allow_data.clone(),
        allow_layout: arguments.choices.allow_layout.clone(),
        targets: Vec::new(),
    };
    match build(&plan, options, &mut |step| errln!("patchgen: {step}")) {
        Ok(outcome) => conclude(outcome, &output, key.as_ref()),
        Err(error) => {
            let status = error.status();
            super::make::remove_stale(&output)?;
            super::complain(&anyhow::Error::new(error));
            Ok(status)
        }
    }
}

/// The bundle beside the current directory that is called like the first patch.
fn after(patches: &[std::path::PathBuf]) -> std::path::PathBuf {
    let stem = patches.first().and_then(|patch| patch.file_stem());
    Path::new(stem.unwrap_or("fix".as_ref())).with_extension("lpatch")
}

pub(super) fn run_inside(arguments: &Inside) -> anyhow::Result<u8> {
    let bytes = fs::read(&arguments.job)
        .with_context(|| format!("cannot read `{}`", arguments.job.display()))?;
    let job = serde_json::from_slice(&bytes).map_err(BuildError::from)?;
    let status = inside::run(&job)?;
    let code = status.code().unwrap_or(i32::from(SIGNALLED));
    Ok(u8::try_from(code).unwrap_or(ERROR))
}
