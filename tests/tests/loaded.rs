//! Libraries that came into the process in other ways than as a dependency.

use anyhow::{Context, Result, ensure};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{livepatch, patchgen, run, target_directory, tests_directory};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Compiles the host, the library (with the linker's `flags`) and the patch into a directory.
fn build(name: &str, flags: &[&str]) -> Result<PathBuf> {
    let directory = std::path::absolute(target_directory().join("built").join(name))?;
    fs::create_dir_all(&directory)?;
    let source = tests_directory().join("scenarios/loaded");
    let gcc = |arguments: &[&str], input: PathBuf, output: &str| -> Result<()> {
        let mut command = Command::new("gcc");
        command.args(["-O2", "-g"]).arg(input).args(arguments);
        run(command.arg("-o").arg(directory.join(output)))?.expect(0)?;
        Ok(())
    };
    for version in ["old", "new"] {
        let file = source.join(format!("{version}.c"));
        gcc(
            &["-c", "-fPIC", "-ffunction-sections", "-fdata-sections"],
            file,
            &format!("{version}.o"),
        )?;
    }
    gcc(&[], source.join("main.c"), "host")?;
    let library = [&["-shared", "-Wl,--build-id"], flags].concat();
    gcc(&library, directory.join("old.o"), "answer.so")?;
    let path = |name: &str| directory.join(name).into_os_string();
    let [old, new, target, fix] = ["old.o", "new.o", "answer.so", "fix.lpatch"].map(path);
    patchgen([old, new, "--target".into(), target, "-o".into(), fix])?.expect(0)?;
    Ok(directory)
}

/// The host is patched and reverted; new code uses the C library that the old code uses.
fn in_and_out(directory: &std::path::Path, command: &mut Command) -> Result<()> {
    let mut target = Target::start(command)?;
    ensure!(target.ask("7")? == "1", "it was asked before");
    let (pid, fix) = (target.pid_text(), directory.join("fix.lpatch"));
    let fix = fix.to_str().context("a plain path")?;
    livepatch(["apply", "--pid", &pid, fix])?.expect(0)?;
    for seed in [7, 40] {
        // Somebody else's state of the same functions is moved on.
        let wanted = target.ask(&format!("expect {seed}"))?;
        target.ask(&format!("expect {}", seed + 1))?;
        let said = target.ask(&seed.to_string())?;
        ensure!(said == wanted, "said {said}, wanted {wanted}");
    }
    livepatch(["revert", "--pid", &pid])?.expect(0)?;
    ensure!(target.ask("7")? == "4", "the calls were not counted on");
    Ok(())
}

#[test]
fn opened() -> Result<()> {
    let directory = build("loaded_opened", &[])?;
    let mut host = dying(directory.join("host"));
    in_and_out(
        &directory,
        host.arg(directory.join("answer.so")).arg("here"),
    )
}

#[test]
fn in_a_name_space_of_its_own() -> Result<()> {
    let directory = build("loaded_namespace", &[])?;
    let mut host = dying(directory.join("host"));
    in_and_out(
        &directory,
        host.arg(directory.join("answer.so")).arg("namespace"),
    )
}

#[test]
fn preloaded() -> Result<()> {
    let directory = build("loaded_before", &[])?;
    let mut host = Command::new("env");
    let preload = format!("LD_PRELOAD={}", directory.join("answer.so").display());
    in_and_out(&directory, host.arg(preload).arg(directory.join("host")))
}

/// As prelink(8) does it, a library has addresses of its own that need no relocation where it is loaded.
#[test]
fn linked_to_an_address() -> Result<()> {
    let directory = build("loaded_address", &["-Wl,-Ttext-segment=0x3d000000"])?;
    let mut host = dying(directory.join("host"));
    in_and_out(
        &directory,
        host.arg(directory.join("answer.so")).arg("here"),
    )
}
