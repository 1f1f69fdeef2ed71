//! Debuggers and profilers find their way through new code.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::Target;
use livepatch_tests::tools::{livepatch, run};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program with a thread that runs in `turn`, a function of the new version of `slow`.
fn inside_new_code(test: &str) -> Result<(Program, Target)> {
    let program = Program::build("scenarios/named", test)?;
    program.patch()?;
    let mut target = start(&program)?;
    apply(&target, &program)?;
    target.ask("enter")?;
    Ok((program, target))
}

/// What `livepatch symbols` writes.
fn symbols(program: &Program, target: &Target) -> Result<PathBuf> {
    let directory = std::path::absolute(program.path("symbols"))?;
    fs::create_dir_all(&directory)?;
    let arguments = ["symbols", "--pid", &target.pid_text(), "--directory"];
    let arguments = arguments.map(OsStr::new).into_iter();
    livepatch(arguments.chain([directory.as_os_str()]))?.expect(0)?;
    Ok(directory)
}

/// A walk that begins in `turn` goes through `slow` to what called it.
fn is_whole(trace: &str) -> Result<()> {
    let at = |name: &str| {
        trace
            .lines()
            .position(|line| line.split_whitespace().any(|word| word == name))
    };
    let inner = at("turn").with_context(|| format!("no frame of `turn`:\n{trace}"))?;
    let frames: Vec<&str> = trace.lines().skip(inner).collect();
    let mut rest = frames.iter();
    for name in ["turn", "slow", "enter", "start_thread"] {
        let found = rest.any(|line| line.split_whitespace().any(|word| word == name));
        ensure!(found, "the walk ends before `{name}`:\n{trace}");
    }
    Ok(())
}

/// Both frames of new code have their lines: the loop, and the call.
fn has_lines(trace: &str) -> Result<()> {
    let at = |line| trace.contains(&format!("/patch.c:{line}"));
    ensure!(
        (at(4) || at(5) || at(6)) && at(10),
        "lines are missing:\n{trace}"
    );
    Ok(())
}

#[test]
fn gdb_walks_through_new_code() -> Result<()> {
    let (program, mut target) = inside_new_code("symbols_gdb")?;
    let directory = symbols(&program, &target)?;
    let commands = directory.join(format!("livepatch-{}.gdb", target.pid()));
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-p", &target.pid_text(), "-x"]);
    gdb.arg(commands)
        .args(["-ex", "thread apply all backtrace"]);
    let trace = run(&mut gdb)?.expect(0)?.stdout;
    is_whole(&trace)?;
    has_lines(&trace)?;
    target.ask("leave")?;
    let answer = target.ask("ask")?;
    ensure!(answer == "2", "answered `{answer}`");
    Ok(())
}

/// It reads the patch in the process's memory, and no file.
#[test]
fn eu_stack_walks_through_new_code_by_itself() -> Result<()> {
    let (_program, target) = inside_new_code("symbols_eu_stack")?;
    let mut eu_stack = Command::new("eu-stack");
    let trace = run(eu_stack.args(["-s", "-p", &target.pid_text()]))?.stdout;
    is_whole(&trace)?;
    has_lines(&trace)
}

/// Ubuntu's `perf` is a script that asks for one of the very kernel that runs.
fn perf_program() -> PathBuf {
    let tools = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let tools = tools.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("linux-tools-")
    });
    let mut found: Vec<PathBuf> = tools.map(|entry| entry.path().join("perf")).collect();
    found.retain(|path| path.exists());
    found.into_iter().max().unwrap_or_else(|| "perf".into())
}

#[test]
fn perf_names_new_code() -> Result<()> {
    let (program, target) = inside_new_code("symbols_perf")?;
    let directory = symbols(&program, &target)?;
    let cache = directory.join("cache");
    let perf = |arguments: &[&str]| {
        let mut perf = Command::new(perf_program());
        perf.current_dir(&directory)
            .arg("--buildid-dir")
            .arg(&cache);
        run(perf.args(arguments))?.expect(0)
    };
    let (pid, image) = (target.pid_text(), file(&directory, ".elf")?);
    let known = fs::read_to_string(directory.join(format!("livepatch-{pid}.build-ids")))?;
    perf(&["buildid-cache", "--add", &image])?;
    perf(&[
        "record",
        "-e",
        "cpu-clock",
        "-o",
        "raw",
        "-p",
        &pid,
        "--",
        "sleep",
        "0.5",
    ])?;
    perf(&[
        "inject",
        "-b",
        "--known-build-ids",
        &known,
        "-i",
        "raw",
        "-o",
        "named",
    ])?;
    let report = perf(&["report", "--stdio", "-i", "named"])?.stdout;
    let first = report
        .lines()
        .find(|line| !line.starts_with('#') && !line.trim().is_empty());
    ensure!(
        first.is_some_and(|line| line.ends_with(" turn")),
        "{report}"
    );
    Ok(())
}

/// The name of the only file in the directory that ends so.
fn file(directory: &Path, ending: &str) -> Result<String> {
    let names =
        fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut fitting = names.filter(|name| name.ends_with(ending));
    fitting
        .next()
        .with_context(|| format!("no file ends with `{ending}`"))
}

#[test]
fn the_map_has_each_function() -> Result<()> {
    let (program, target) = inside_new_code("symbols_map")?;
    let directory = symbols(&program, &target)?;
    let map = fs::read_to_string(directory.join(format!("perf-{}.map", target.pid())))?;
    let start = |name: &str| {
        let line = map.lines().find(|line| line.ends_with(&format!(" {name}")));
        line.and_then(|line| line.split_once(' '))
            .map(|(start, _)| start)
    };
    let slow = start("slow").with_context(|| format!("no line for `slow`:\n{map}"))?;
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(
        listed.stdout.contains(&format!("-> 0x{slow}")),
        "{slow}\n{listed}"
    );
    ensure!(start("turn").is_some(), "no line for `turn`:\n{map}");
    Ok(())
}

#[test]
fn a_process_without_patches_has_no_symbols_to_write() -> Result<()> {
    let program = Program::build("scenarios/busy", "symbols_none")?;
    let target = start(&program)?;
    let written = livepatch(["symbols", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(written.stdout.contains("no patch"), "{written}");
    Ok(())
}
