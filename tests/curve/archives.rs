//! Code as compilers make it: the members of the system's archives, linked into one object each.

use crate::input::Input;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Small ones first.
const ARCHIVES: [&str; 2] = ["libc.a", "libstdc++.a"];

/// The inputs, which compare an object with itself.
pub(crate) fn inputs(top: &Path) -> Vec<(&'static str, Input)> {
    let input = |name| {
        let input = Input {
            directory: top.join(name),
            pairs: 1,
            functions: 0,
            sections: false,
        };
        (name, input)
    };
    ARCHIVES.map(input).into()
}

/// Links the members of an archive into the old and the new object.
pub(crate) fn link(name: &str, input: &Input) -> Result<()> {
    let archive = find(name)?;
    for version in ["old", "new"] {
        let object = input.version(version);
        std::fs::create_dir_all(object.parent().context("it has a directory")?)?;
        let status = Command::new("ld")
            .args(["-r", "--whole-archive"])
            .arg(&archive)
            .arg("-o")
            .arg(&object)
            .status()?;
        ensure!(status.success(), "the linker failed");
    }
    Ok(())
}

fn find(name: &str) -> Result<PathBuf> {
    let asked = Command::new("g++")
        .arg(format!("-print-file-name={name}"))
        .output()?;
    let path = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
    ensure!(path.is_absolute(), "there is no `{name}`");
    Ok(path)
}
