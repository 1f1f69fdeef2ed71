//! `livepatch watch`: what starts later is patched, too.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{livepatch, patchgen, run, tests_directory, tool};
use livepatch_tests::watch::Watch;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program with a bundle that names its build ID, and an empty directory to watch.
fn scene(test: &str) -> Result<(Program, PathBuf)> {
    scene_of("cases/changed_body", test)
}

fn scene_of(case: &str, test: &str) -> Result<(Program, PathBuf)> {
    let program = Program::build_with(case, test, |directives| {
        directives.target = true;
    })?;
    for file in ["program", "unstripped"] {
        make_unique(&program.path(file), test)?;
    }
    program.patch()?;
    let directory = program.path("patches.d");
    fs::create_dir(&directory)?;
    Ok((program, directory))
}

/// Gives the program a build ID that no other test's program has: a watcher patches whatever has the one that it watches for.
fn make_unique(path: &Path, test: &str) -> Result<()> {
    // Lengths of name and contents, NT_GNU_BUILD_ID, `GNU`.
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let mut bytes = fs::read(path)?;
    let at = bytes.windows(NOTE.len()).position(|window| window == NOTE);
    let start = at.context("no build ID")? + NOTE.len();
    for (byte, unique) in bytes[start..start + 20].iter_mut().zip(test.bytes().rev()) {
        *byte = unique;
    }
    Ok(fs::write(path, bytes)?)
}

/// Puts the bundle into the directory, as a package manager does.
fn put(program: &Program, directory: &Path) -> Result<()> {
    fs::copy(program.path("fix.lpatch"), directory.join(".new"))?;
    Ok(fs::rename(
        directory.join(".new"),
        directory.join("fix.lpatch"),
    )?)
}

fn answers(target: &mut Target, answer: &str) -> Result<()> {
    let said = target.ask("40")?;
    ensure!(said == answer, "process {} said {said}", target.pid());
    target.check_undisturbed()
}

#[test]
fn processes_that_start_later_and_again() -> Result<()> {
    let (program, directory) = scene("watch_start")?;
    put(&program, &directory)?;
    let mut early = start(&program)?;
    let metrics = program.path("livepatch.prom");
    let metrics = metrics.to_str().context("a plain path")?;
    let watch = Watch::start(&directory, &["--metrics", metrics])?;
    watch.wait_until_applied(early.pid())?;
    answers(&mut early, "42")?;
    for _ in 0..3 {
        let mut target = program.start()?;
        watch.wait_until_applied(target.pid())?;
        answers(&mut target, "42")?;
    }
    // Other programs are none of its business.
    let other = Program::build("cases/recursion", "watch_other")?;
    let other = start(&other)?;
    let mut last = program.start()?;
    watch.wait_until_applied(last.pid())?;
    answers(&mut last, "42")?;
    let listed = livepatch(["list", "--pid", &other.pid_text()])?.expect(0)?;
    ensure!(listed.stdout.is_empty(), "{listed}");
    watch.end()?;
    let text = fs::read_to_string(metrics)?;
    let count = "livepatch_watch_results_total{patch=\"fix\",result=\"applied\"} 5\n";
    ensure!(text.contains(count), "{text}");
    // Nobody watches any more.
    ensure!(program.start()?.ask("40")? == "41", "patched by nobody");
    answers(&mut early, "42")
}

#[test]
fn many_programs_that_start_beside_each_other() -> Result<()> {
    const PROGRAMS: usize = 48;
    let (program, directory) = scene("watch_many")?;
    put(&program, &directory)?;
    let watch = Watch::start(&directory, &[])?;
    // Each is a file of its own, that nothing is known of yet.
    let mut targets = Vec::new();
    for index in 0..PROGRAMS {
        let copy = program.path(&format!("copy{index}"));
        fs::copy(program.executable(), &copy)?;
        targets.push(Target::start(&mut dying(&copy))?);
    }
    let mut missing: BTreeSet<u32> = targets.iter().map(Target::pid).collect();
    while let Some(&pid) = missing.first() {
        let line = watch.wait_for("applied `fix` to process ");
        let line = line.with_context(|| format!("{missing:?} are missing, {pid} the first"))?;
        missing.retain(|pid| !line.contains(&format!("process {pid} ")));
    }
    for target in &mut targets {
        answers(target, "42")?;
    }
    watch.end()
}

#[test]
fn a_bundle_that_comes_and_goes() -> Result<()> {
    let (program, directory) = scene("watch_directory")?;
    let mut target = start(&program)?;
    let watch = Watch::start(&directory, &[])?;
    put(&program, &directory)?;
    watch.wait_until_applied(target.pid())?;
    answers(&mut target, "42")?;
    fs::remove_file(directory.join("fix.lpatch"))?;
    watch.wait_for("it stays where it is applied")?;
    answers(&mut target, "42")?;
    watch.end()?;
    put(&program, &directory)?;
    // Another patch of the same name is none of its business.
    let (other, _) = scene("watch_namesake")?;
    let mut namesake = start(&other)?;
    apply(&namesake, &other)?;
    let watch = Watch::start(&directory, &["--revert-removed"])?;
    fs::remove_file(directory.join("fix.lpatch"))?;
    watch.wait_for(&format!("reverted `fix` in process {} ", target.pid()))?;
    answers(&mut target, "41")?;
    watch.end()?;
    answers(&mut namesake, "42")
}

#[test]
fn bundles_that_cannot_be_used_are_named() -> Result<()> {
    let (program, directory) = scene("watch_unfit")?;
    fs::write(directory.join("README"), "not looked at")?;
    let watch = Watch::start(&directory, &[])?;
    fs::write(directory.join("broken.lpatch"), "no bundle")?;
    watch.wait_for("broken.lpatch")?;
    put(&program, &directory)?;
    let target = program.start()?;
    watch.wait_until_applied(target.pid())?;
    watch.end()?;
    // What others may write to is not believed.
    run(Command::new("chmod").arg("777").arg(&directory))?.expect(0)?;
    livepatch(["watch".as_ref(), directory.as_os_str()])?.expect_error(1, "others may write")?;
    let missing = directory.join("missing");
    livepatch(["watch".as_ref(), missing.as_os_str()])?
        .expect_error(1, "missing")
        .map(drop)
}

/// Compiles a plug-in and a program that loads it when it is told to.
fn plugin(directory: &Path) -> Result<()> {
    let source = tests_directory().join("scenarios/plugin");
    for version in ["old", "new"] {
        let mut compiler = Command::new("gcc");
        compiler.args(["-O2", "-g", "-fPIC", "-ffunction-sections", "-c", "-o"]);
        let object = directory.join(format!("{version}.o"));
        let file = source.join(format!("{version}.c"));
        run(compiler.arg(&object).arg(&file))?.expect(0)?;
    }
    let mut linker = Command::new("gcc");
    linker
        .args(["-shared", "-Wl,--build-id", "-o"])
        .arg(directory.join("plugin.so"));
    run(linker.arg(directory.join("old.o")))?.expect(0)?;
    let mut compiler = Command::new("gcc");
    compiler.args(["-O2", "-o"]).arg(directory.join("program"));
    run(compiler.arg(source.join("main.c")).arg("-ldl"))?.expect(0)?;
    let path = |name: &str| directory.join(name).into_os_string();
    let patches = path("patches.d");
    fs::create_dir(&patches)?;
    patchgen([
        path("old.o"),
        path("new.o"),
        "--target".into(),
        path("plugin.so"),
        "-o".into(),
        path("patches.d/fix.lpatch"),
    ])?
    .expect(0)
    .map(drop)
}

#[test]
fn a_library_that_is_loaded_later() -> Result<()> {
    let directory = tempfile::tempdir()?;
    plugin(directory.path())?;
    let watch = Watch::start(&directory.path().join("patches.d"), &[])?;
    let mut command = dying(directory.path().join("program"));
    let mut target = Target::start(command.arg(directory.path().join("plugin.so")))?;
    ensure!(target.ask("40")? == "not loaded");
    ensure!(target.ask("load")? == "loaded");
    watch.wait_until_applied(target.pid())?;
    ensure!(target.ask("40")? == "42", "the patch is not in force");
    watch.end()
}

#[test]
fn without_the_rights_it_says_so() -> Result<()> {
    let directory = tempfile::tempdir()?;
    plugin(directory.path())?;
    let mut command = Command::new("setpriv");
    command.args([
        "--bounding-set",
        "-sys_admin",
        "--inh-caps",
        "-sys_admin",
        "--",
    ]);
    let patches = directory.path().join("patches.d");
    command.arg(tool("livepatch")?).arg("watch").arg(patches);
    run(&mut command)?
        .expect_error(1, "CAP_SYS_ADMIN")
        .map(drop)
}

/// A scene in which a process is in the function that changes.
fn busy_scene(test: &str) -> Result<(PathBuf, Target)> {
    let (program, directory) = scene_of("scenarios/busy", test)?;
    put(&program, &directory)?;
    let mut target = start(&program)?;
    target.ask("enter")?;
    Ok((directory, target))
}

/// The end does not wait for a busy function, nor does that of a terminal.
#[test]
fn the_end_interrupts_what_waits() -> Result<()> {
    let (directory, mut target) = busy_scene("watch_interrupted")?;
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let watch = Watch::start(&directory, &["--timeout", "600s"])?;
        std::thread::sleep(std::time::Duration::from_secs(1));
        watch.end_by(signal)?;
    }
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(listed.stdout.is_empty(), "{listed}");
    target.ask("leave")?;
    ensure!(target.ask("")? == "1", "the patch came into force");
    target.check_undisturbed()
}

/// Who waits for a busy function when the bundle goes does not bring it in afterwards.
#[test]
fn a_bundle_that_goes_while_a_process_is_busy() -> Result<()> {
    let (directory, mut target) = busy_scene("watch_busy_gone")?;
    let watch = Watch::start(&directory, &["--timeout", "600s", "--revert-removed"])?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::remove_file(directory.join("fix.lpatch"))?;
    watch.wait_for("the directory has changed")?;
    target.ask("leave")?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    watch.end()?;
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(listed.stdout.is_empty(), "{listed}");
    target.check_undisturbed()
}

/// What happens as JSON: an object for each event.
#[test]
fn events_for_machines() -> Result<()> {
    let (program, directory) = scene("watch_json")?;
    put(&program, &directory)?;
    let watch = Watch::start(&directory, &["--json"])?;
    let target = program.start()?;
    let line = watch.wait_for("\"result\":\"applied\"")?;
    let event: serde_json::Value = serde_json::from_str(&line)?;
    let wanted = serde_json::json!({
        "event": "result", "level": "notice", "pid": target.pid(), "patch": "fix",
        "result": "applied", "status": 0, "message": event["message"], "time_ms": event["time_ms"],
    });
    ensure!(
        event == wanted && event["time_ms"].as_u64() > Some(0),
        "{line}"
    );
    fs::write(directory.join("bad.lpatch"), "no bundle")?;
    fs::remove_file(directory.join("fix.lpatch"))?;
    let line = watch.wait_for("bad.lpatch")?;
    let event: serde_json::Value = serde_json::from_str(&line)?;
    ensure!(
        event["event"] == "problem" && event["level"] == "warning",
        "{line}"
    );
    watch.end()
}
