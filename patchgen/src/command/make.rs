//! `patchgen OLD NEW -o FILE`.

use super::{Choices, DONE, Make, REFUSED, UNCHANGED, sign};
use anyhow::{Context, bail};
use livepatch_bundle::{Bundle, PrivateKey, is_patch_name, write_file, write_signed_file};
use livepatch_cli::{errln, outln};
use patchgen::emit::Labels;
use patchgen::generate::{Options, Outcome, generate};
use patchgen::input;
use patchgen::refusal::Refusal;
use patchgen::target::Image;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub(super) fn run(make: &Make, choices: &Choices) -> anyhow::Result<u8> {
    check_output(make)?;
    let key = sign::key(choices.sign_key.as_deref())?;
    let options = Options {
        labels: labels(choices, &make.output)?,
        allow_data: choices.allow_data.clone(),
        allow_layout: choices.allow_layout.clone(),
        targets: make
            .target
            .iter()
            .map(|path| Image::read(path))
            .collect::<Result<_, _>>()?,
    };
    let pairs = input::read(&make.old, &make.new)?;
    conclude(generate(&pairs, &options)?, &make.output, key.as_ref())
}

/// Refuses to write over what is read.
pub(super) fn check_output(make: &Make) -> anyhow::Result<()> {
    let inputs = [&make.old, &make.new].into_iter().chain(&make.target);
    inputs
        .into_iter()
        .try_for_each(|input| separate(input, &make.output))
}

/// Refuses an output that is an input.
pub(super) fn separate(input: &Path, output: &Path) -> anyhow::Result<()> {
    if is_same_file(input, output) {
        bail!("the output `{}` is one of the inputs", output.display());
    }
    Ok(())
}

/// Writes the bundle, or tells why there is none; returns the exit status.
pub(super) fn conclude(
    outcome: Outcome,
    output: &Path,
    key: Option<&PrivateKey>,
) -> anyhow::Result<u8> {
    match outcome {
        Outcome::Patch(bundle) => {
            let written = match key {
                Some(key) => write_signed_file(&bundle, key, output),
                None => write_file(&bundle, output),
            };
            written.with_context(|| format!("cannot write `{}`", output.display()))?;
            report(&bundle, output);
            Ok(DONE)
        }
        Outcome::Unchanged => unchanged(output),
        Outcome::Refused(refusals) => {
            remove_stale(output)?;
            Ok(refused(&refusals))
        }
    }
}

/// Says that there is nothing to patch; returns the exit status.
pub(super) fn unchanged(output: &Path) -> anyhow::Result<u8> {
    remove_stale(output)?;
    errln!("patchgen: no functional change: nothing to patch");
    Ok(UNCHANGED)
}

/// Tells every reason; returns the exit status.
pub(super) fn refused(refusals: &[Refusal]) -> u8 {
    errln!("patchgen: refused, for {} reason(s):", refusals.len());
    for refusal in refusals {
        errln!("  {refusal}");
    }
    REFUSED
}

fn report(bundle: &Bundle, output: &Path) {
    let manifest = &bundle.manifest;
    for warning in &manifest.warnings {
        errln!("patchgen: warning: {warning}");
    }
    outln!(
        "`{}` replaces {} function(s):",
        output.display(),
        manifest.functions.len()
    );
    for function in &manifest.functions {
        outln!(
            "  `{}` in `{}`: {}",
            function.name,
            function.object,
            function.reason
        );
    }
}

/// What the author calls the patch.
pub(super) fn labels(choices: &Choices, output: &Path) -> anyhow::Result<Labels> {
    Ok(Labels {
        name: name(choices, output)?,
        description: choices.description.clone(),
        quiesce: choices.quiesce.clone(),
        supersedes: superseded(choices)?,
    })
}

fn superseded(choices: &Choices) -> anyhow::Result<Vec<String>> {
    for name in &choices.supersedes {
        anyhow::ensure!(
            is_patch_name(name),
            "`--supersedes {name}`: no patch can have this name"
        );
    }
    Ok(choices.supersedes.clone())
}

/// The patch's name: as told, or after the output.
fn name(choices: &Choices, output: &Path) -> anyhow::Result<String> {
    let name = match &choices.name {
        Some(name) => name.clone(),
        None => {
            let stem = output.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
    };
    if !is_patch_name(&name) {
        bail!("`{name}` cannot name a patch: give `--name`, 1 to 63 letters, digits and `._+-`");
    }
    Ok(name)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Removes what an earlier run wrote, lest it is taken for the result of this one.
pub(super) fn remove_stale(output: &Path) -> anyhow::Result<()> {
    match fs::remove_file(output) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the stale `{}`", output.display()))
        }
        _ => Ok(()),
    }
}
