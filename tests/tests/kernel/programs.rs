//! Small C programs of the tests, for the guests.

use anyhow::Result;
use livepatch_tests::tools::{run, target_directory, tests_directory};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Compiles a program in `tests/kernel/programs`, without shared libraries.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let directory = target_directory().join("qemu-programs");
    fs::create_dir_all(&directory)?;
    // Tests that need the same program make it at the same time: each in a place of its own.
    let place = tempfile::tempdir_in(&directory)?;
    let (made, kept) = (place.path().join(name), directory.join(name));
    let source = tests_directory().join(format!("kernel/programs/{name}.c"));
    let mut compiler = Command::new("gcc");
    compiler.args(["-O2", "-Wall", "-Werror", "-static", "-pthread", "-o"]);
    run(compiler.arg(&made).arg(source))?.expect(0)?;
    fs::rename(made, &kept)?;
    Ok(kept)
}
