//! Bundles and processes that cannot be patched: one clear error, the documented exit status, and a
//! target that is byte for byte as it was.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply_with, refuse, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{Finished, finish, livepatch, run, spawn, tool};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn scenario(name: &str, test: &str) -> Result<(Program, Target)> {
    let program = Program::build(name, test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

/// Applies `fix.lpatch`, changed by `spoil`; it must fail with status 1 and leave memory as it was.
fn check_spoilt(test: &str, text: &str, spoil: impl Fn(&mut Vec<u8>)) -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", test)?;
    let mut bytes = fs::read(program.path("fix.lpatch"))?;
    spoil(&mut bytes);
    fs::write(program.path("fix.lpatch"), bytes)?;
    let before = Snapshot::take(target.pid())?;
    apply_with(&target, &program, &["fix.lpatch"])?.expect_error(1, text)?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    target.check_undisturbed()
}

/// Whoever starts a command hands on what it ignores.
#[test]
fn a_command_whose_children_are_ignored() -> Result<()> {
    let (program, target) = scenario("cases/changed_body", "children_ignored")?;
    let fix = program.path("fix.lpatch");
    for (verb, what) in [("apply", fix.as_os_str()), ("revert", "fix".as_ref())] {
        let mut command = Command::new("env");
        command.arg("--ignore-signal=CHLD").arg(tool("livepatch")?);
        command.args([verb, "--pid", &target.pid_text()]).arg(what);
        run(&mut command)?.expect(0)?;
    }
    Ok(())
}

#[test]
fn a_command_that_may_write_nothing() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "no_file_size")?;
    let before = Snapshot::take(target.pid())?;
    let mut command = Command::new("prlimit");
    command.arg("--fsize=0").arg(tool("livepatch")?);
    command.args(["apply", "--pid", &target.pid_text()]);
    let refused = run(command.arg(program.path("fix.lpatch")))?;
    refused.expect_error(1, "File too large")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    target.check_undisturbed()
}

#[test]
fn a_truncated_bundle() -> Result<()> {
    check_spoilt("truncated", "fix.lpatch", |bytes| {
        bytes.truncate(bytes.len() / 2);
    })
}

#[test]
fn a_bundle_cut_in_its_header() -> Result<()> {
    check_spoilt("truncated_header", "fix.lpatch", |bytes| bytes.truncate(40))
}

#[test]
fn an_empty_bundle() -> Result<()> {
    check_spoilt("empty", "fix.lpatch", Vec::clear)
}

#[test]
fn a_bundle_for_another_architecture() -> Result<()> {
    // e_machine: EM_AARCH64.
    check_spoilt("architecture", "x86-64", |bytes| bytes[18] = 183)
}

#[test]
fn a_bundle_that_is_an_ordinary_object() -> Result<()> {
    let (program, target) = scenario("cases/changed_body", "ordinary_object")?;
    apply_with(&target, &program, &["patch.o"])?
        .expect_error(1, "live patch")
        .map(drop)
}

#[test]
fn a_bundle_that_cannot_be_read() -> Result<()> {
    let (program, target) = scenario("cases/changed_body", "unreadable")?;
    apply_with(&target, &program, &["missing.lpatch"])?.expect_error(1, "missing.lpatch")?;
    apply_with(&target, &program, &["."])?
        .expect_error(1, ".")
        .map(drop)
}

#[test]
fn another_program() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "another_program")?;
    let other = Program::build("cases/recursion", "another_programs_patch")?;
    fs::copy(other.patch()?, program.path("fix.lpatch"))?;
    refuse(&mut target, &program, "answer")
}

#[test]
fn a_program_without_the_function() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "without_function")?;
    let other = Program::build("cases/structure_return", "without_functions_patch")?;
    fs::copy(other.patch()?, program.path("fix.lpatch"))?;
    refuse(&mut target, &program, "make")
}

#[test]
fn another_build_id() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "build_id")?;
    let other = Program::build_with("cases/changed_body", "other_build_id", |directives| {
        directives.target = true;
        directives.cflags.push("-DOTHER".to_owned());
        directives.cflags.push("-g".to_owned());
    })?;
    fs::copy(other.patch()?, program.path("fix.lpatch"))?;
    refuse(&mut target, &program, "build ID")
}

#[test]
fn running_bytes_that_differ() -> Result<()> {
    let (program, mut target) = scenario("cases/jump_table", "bytes_differ")?;
    let other = Program::build_with("cases/jump_table", "other_bytes", |directives| {
        directives.cflags = vec!["-O1".to_owned()];
    })?;
    fs::copy(other.patch()?, program.path("fix.lpatch"))?;
    refuse(&mut target, &program, "answer")
}

/// Runs `apply` on a process that no patch is for.
fn apply_to(pid: u32) -> Result<Finished> {
    let program = Program::build("cases/changed_body", &format!("patch_for_{pid}"))?;
    let bundle = program.patch()?;
    let pid = pid.to_string();
    livepatch([
        "apply".as_ref(),
        "--pid".as_ref(),
        pid.as_ref(),
        bundle.as_os_str(),
    ])
}

#[test]
fn no_such_process() -> Result<()> {
    // Larger than the kernel's greatest pid_max.
    apply_to(4_194_305)?.expect_error(1, "4194305").map(drop)
}

#[test]
fn a_kernel_thread() -> Result<()> {
    let name = fs::read_to_string("/proc/2/comm")
        .context("process 2 is hidden: run outside of containers")?;
    ensure!(
        name == "kthreadd\n",
        "process 2 is no kernel thread: run outside of containers"
    );
    apply_to(2)?.expect_error(1, "kernel").map(drop)
}

#[test]
fn a_zombie() -> Result<()> {
    let mut child = Command::new("true").spawn()?;
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat)?.contains(") Z ") {
        std::thread::yield_now();
    }
    let failed = apply_to(child.id())?.expect_error(1, "ended");
    child.wait()?;
    failed.map(drop)
}

#[test]
fn a_32_bit_process() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("sleep.c");
    // pause(2), for ever, with no library.
    fs::write(
        &source,
        "void _start(void) { for (;;) __asm__ volatile(\"int $0x80\" : : \"a\"(29)); }\n",
    )?;
    let program = directory.path().join("sleep");
    let mut compiler = Command::new("gcc");
    compiler.args(["-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-o"]);
    run(compiler.arg(&program).arg(&source))?.expect(0)?;
    let mut child = dying(&program).stdin(Stdio::null()).spawn()?;
    while fs::read_link(format!("/proc/{}/exe", child.id()))? != program {
        std::thread::yield_now();
    }
    let failed = apply_to(child.id())?.expect_error(1, "32");
    child.kill()?;
    child.wait()?;
    failed.map(drop)
}

#[test]
fn a_process_that_is_traced_already() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "traced")?;
    let pid = nix::unistd::Pid::from_raw(target.pid().cast_signed());
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty())?;
    let before = Snapshot::take(target.pid())?;
    let failed = apply_with(&target, &program, &["fix.lpatch"])?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    failed.expect_error(1, "traced")?;
    // Who only reads is in nobody's way.
    livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(target.ask("40")? == "41", "the target changed");
    Ok(())
}

#[test]
fn a_thread_that_is_traced_already() -> Result<()> {
    let (program, mut target) = scenario("scenarios/busy", "thread_traced")?;
    target.ask("enter")?;
    let tasks = fs::read_dir(format!("/proc/{}/task", target.pid()))?;
    let tasks = tasks.map(|task| Ok(task?.file_name().to_string_lossy().parse()?));
    let tasks = tasks.collect::<Result<Vec<u32>>>()?;
    let other = tasks.into_iter().find(|task| *task != target.pid());
    let thread = other.context("another thread")?.cast_signed();
    let thread = nix::unistd::Pid::from_raw(thread);
    nix::sys::ptrace::seize(thread, nix::sys::ptrace::Options::empty())?;
    let before = Snapshot::take(target.pid())?;
    let failed = apply_with(&target, &program, &["fix.lpatch"])?;
    let after = Snapshot::take(target.pid())?;
    // Its end is its tracer's to notice, before the process's can be.
    let process = nix::unistd::Pid::from_raw(target.pid().cast_signed());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL)?;
    nix::sys::wait::waitpid(thread, Some(nix::sys::wait::WaitPidFlag::__WALL))?;
    before.check_same(&after, Extent::Mapped)?;
    let tracer = format!(
        "cannot attach to thread {thread} of process {}: process {} (`",
        target.pid(),
        std::process::id()
    );
    failed.expect_error(1, &tracer).map(drop)
}

#[test]
fn no_permission() -> Result<()> {
    let (program, mut target) = scenario("cases/changed_body", "permission")?;
    // Where everybody can get at it.
    let directory = tempfile::tempdir_in("/tmp")?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    for file in [tool("livepatch")?, program.path("fix.lpatch")] {
        fs::copy(
            &file,
            directory.path().join(file.file_name().context("a file")?),
        )?;
    }
    let before = Snapshot::take(target.pid())?;
    let mut command = Command::new("setpriv");
    command
        .current_dir(directory.path())
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .args([
            "./livepatch",
            "apply",
            "--pid",
            &target.pid_text(),
            "fix.lpatch",
        ]);
    run(&mut command)?.expect_error(1, "permission")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    target.check_undisturbed()
}

#[test]
fn no_memory_within_reach() -> Result<()> {
    let (program, mut target) = scenario("scenarios/crowded", "crowded")?;
    target.ask("fill")?;
    let before = Snapshot::take(target.pid())?;
    apply_with(&target, &program, &["fix.lpatch"])?.expect_error(4, "does not reach")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    target.check_undisturbed()
}

/// New code that refers to nothing may lie anywhere; the old function is long enough for a far jump.
#[test]
fn no_memory_within_reach_for_a_far_jump() -> Result<()> {
    let (program, mut target) = scenario("scenarios/crowded", "crowded_far")?;
    program
        .patchgen("old.c", "new-far.c", "fix.lpatch")?
        .expect(0)?;
    target.ask("fill")?;
    let before = Snapshot::take(target.pid())?;
    apply_with(&target, &program, &["fix.lpatch"])?.expect(0)?;
    ensure!(target.ask("40")? == "42", "the patch is not in force");
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    ensure!(target.ask("40")? == "41", "the patch is still in force");
    target.check_undisturbed()
}

/// Runs `patchgen` with its output on a file system of one page.
fn patchgen_on_full_disk(program: &Program, directory: &Path) -> Result<Finished> {
    let script = "mount -t tmpfs -o size=4k tmpfs \"$1\" && head -c 4096 /dev/zero >\"$1/full\" && exec \"$2\" \"$3\" \"$4\" -o \"$1/fix.lpatch\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(directory)
        .arg(tool("patchgen")?)
        .arg(program.object("old.c")?)
        .arg(program.object("new.c")?);
    finish(spawn(&mut command)?)
}

#[test]
fn a_full_disk() -> Result<()> {
    let program = Program::build("cases/static", "full_disk")?;
    let directory = tempfile::tempdir()?;
    patchgen_on_full_disk(&program, directory.path())?
        .expect_error(1, "fix.lpatch")
        .map(drop)
}

#[test]
fn wrong_usage() -> Result<()> {
    livepatch(["apply"])?.expect_error(2, "BUNDLE")?;
    livepatch(["apply", "fix.lpatch"])?.expect_error(2, "--pid")?;
    livepatch(["revert", "--pid", "many"])?.expect_error(2, "many")?;
    livepatch(["dance"])?.expect_error(2, "dance")?;
    let help = livepatch(["apply", "--help"])?.expect(0)?;
    ensure!(help.stdout.contains("Example:"), "{help}");
    Ok(())
}
