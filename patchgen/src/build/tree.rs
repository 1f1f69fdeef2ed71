//! Copies of the user's source tree, and the patch on one of them.

use super::error::BuildError;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Copies a tree with times, links and modes.
pub(super) fn copy(source: &Path, copy: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(copy).map_err(BuildError::io("make", copy))?;
    let mut cp = Command::new("cp");
    cp.args(["-a", "--reflink=auto", "--"])
        .arg(source.join("."))
        .arg(copy);
    let output = output(&mut cp, "cp")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(BuildError::Tool {
        program: "cp".to_owned(),
        said,
    })
}

/// How many leading directories of names a patch may have too many.
const LEVELS: [&str; 3] = ["-p1", "-p0", "-p2"];

/// Applies a patch in `tree`; nothing is changed when it does not apply as a whole.
pub(crate) fn patch(tree: &Path, patch: &Path) -> Result<(), BuildError> {
    let mut said = String::new();
    for level in LEVELS {
        let dry = run_patch(tree, patch, &[level, "--dry-run"])?;
        if dry.status.success() {
            let output = run_patch(tree, patch, &[level])?;
            if output.status.success() {
                return Ok(());
            }
            said = text(&output);
            break;
        }
        if said.is_empty() {
            said = text(&dry);
        }
    }
    Err(BuildError::Patch {
        patch: patch.to_owned(),
        said,
    })
}

fn run_patch(tree: &Path, patch: &Path, arguments: &[&str]) -> Result<Output, BuildError> {
    let mut command = Command::new("patch");
    command
        .args([
            "--batch",
            "--forward",
            "--fuzz=0",
            "--no-backup-if-mismatch",
            "--reject-file=-",
        ])
        .args(arguments)
        .arg("-d")
        .arg(tree)
        .arg("-i")
        .arg(patch);
    output(&mut command, "patch")
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).trim_end().to_owned()
}

fn output(command: &mut Command, name: &str) -> Result<Output, BuildError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(BuildError::io("run", name))
}
