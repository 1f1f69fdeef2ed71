//! Patches that are applied twice, stacked, held back, retired, and reverted by name.

use anyhow::{Result, ensure};
use livepatch_tests::case::{apply, apply_command, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::Target;
use livepatch_tests::tools::{Finished, finish, livepatch, patchgen, run, spawn};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Builds a scenario with its patch, and starts it.
fn scenario(name: &str, test: &str) -> Result<(Program, Target)> {
    let program = Program::build(&format!("scenarios/{name}"), test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

fn revert(target: &Target, arguments: &[&str]) -> Result<Finished> {
    livepatch([&["revert", "--pid", &target.pid_text()], arguments].concat())
}

fn list(target: &Target) -> Result<String> {
    let listed = livepatch(["list", "--pid", &target.pid_text()])?;
    Ok(listed.expect(0)?.stdout)
}

fn check_answer(target: &mut Target, question: &str, wanted: &str) -> Result<()> {
    let answer = target.ask(question)?;
    ensure!(answer == wanted, "answered `{answer}`, wanted `{wanted}`");
    Ok(())
}

#[test]
fn a_busy_function_is_waited_for_and_named() -> Result<()> {
    let (program, mut target) = scenario("busy", "busy_is_named")?;
    target.ask("enter")?;
    let before = Snapshot::take(target.pid())?;
    let held = apply_with(&target, &program, &["--timeout", "300ms", "fix.lpatch"])?;
    held.expect_error(3, "slow")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    target.ask("leave")?;
    check_answer(&mut target, "ask", "1")?;
    apply(&target, &program)?;
    check_answer(&mut target, "ask", "2")?;
    target.check_undisturbed()
}

/// Its parent, this test, does not notice.
#[test]
fn a_target_that_ends_meanwhile_has_ended() -> Result<()> {
    let (program, mut target) = scenario("busy", "busy_ends")?;
    target.ask("enter")?;
    let command = apply_command(&target, &program, &["--timeout", "30s", "fix.lpatch"])?;
    let applying = spawn(&mut { command })?;
    thread::sleep(Duration::from_millis(300));
    kill(Pid::from_raw(target.pid().cast_signed()), Signal::SIGKILL)?;
    let finished = finish(applying)?.expect_error(1, "ended while it was being stopped")?;
    ensure!(!finished.stderr.contains("stays mapped"), "{finished}");
    apply_with(&target, &program, &["fix.lpatch"])?
        .expect_error(1, "only waits for its parent")
        .map(drop)
}

#[test]
fn a_busy_function_that_leaves_in_time_is_patched() -> Result<()> {
    let (program, mut target) = scenario("busy", "busy_leaves")?;
    target.ask("enter")?;
    let applying = spawn(&mut apply_command(&target, &program, &["fix.lpatch"])?)?;
    thread::sleep(Duration::from_millis(300));
    target.ask("leave")?;
    finish(applying)?.expect(0)?;
    check_answer(&mut target, "ask", "2")?;
    target.check_undisturbed()
}

#[test]
fn a_check_tells_who_is_inside() -> Result<()> {
    let (program, mut target) = scenario("busy", "check_inside")?;
    let check = |target: &Target, option: &str| {
        let checked = apply_with(target, &program, &["--dry-run", "fix.lpatch", option])?;
        Ok::<_, anyhow::Error>(checked.expect(0)?.stdout)
    };
    let free = check(&target, "--json")?;
    ensure!(free.contains(r#""inside":[]"#), "{free}");
    target.ask("enter")?;
    // The thread that is inside sleeps most of the time, and not always.
    let looks: Vec<String> = (0..20)
        .map(|_| check(&target, "--timeout=1s"))
        .collect::<Result<_>>()?;
    let inside = looks.iter().any(|look| look.contains(" is in `slow`"));
    ensure!(inside, "{looks:#?}");
    target.ask("leave").map(drop)
}

#[test]
fn a_caller_that_is_to_be_quiet_holds_the_patch_back() -> Result<()> {
    let (program, mut target) = scenario("quiesce", "quiesce")?;
    target.ask("enter")?;
    let held = apply_with(&target, &program, &["--timeout", "300ms", "fix.lpatch"])?;
    held.expect_error(3, "transact")?;
    target.ask("leave")?;
    apply(&target, &program)?;
    check_answer(&mut target, "ask", "2")?;
    target.check_undisturbed()
}

/// A thread that has left a changed function by a tail call is in no frame of it: `patchgen` says so, and `--quiesce` covers it.
#[test]
fn a_tail_call_is_warned_of_and_covered() -> Result<()> {
    let program = Program::build("scenarios/tail", "tail_call")?;
    let made = program
        .patchgen("old.c", "new.c", "fix.lpatch")?
        .expect(0)?;
    let warning = "`slow` ends by jumping to `rest`";
    ensure!(made.stderr.contains(warning), "no warning:\n{made}");
    let mut target = start(&program)?;
    target.ask("enter")?;
    let held = apply_with(&target, &program, &["--timeout", "300ms", "fix.lpatch"])?;
    held.expect_error(3, "rest")?;
    target.ask("leave")?;
    apply(&target, &program)?;
    check_answer(&mut target, "ask", "2")?;
    target.check_undisturbed()
}

#[test]
fn consistency_of_functions_may_be_waived() -> Result<()> {
    let (program, mut target) = scenario("busy", "busy_waived")?;
    target.ask("enter")?;
    apply_with(
        &target,
        &program,
        &["--consistency", "function", "fix.lpatch"],
    )?
    .expect(0)?;
    target.ask("leave")?;
    check_answer(&mut target, "ask", "2")?;
    target.check_undisturbed()
}

#[test]
fn a_busy_patch_is_not_reverted() -> Result<()> {
    let (program, mut target) = scenario("busy", "busy_revert")?;
    apply(&target, &program)?;
    target.ask("enter")?;
    revert(&target, &["--timeout", "300ms"])?.expect_error(3, "fix")?;
    target.ask("leave")?;
    check_answer(&mut target, "ask", "2")?;
    revert(&target, &[])?.expect(0)?;
    check_answer(&mut target, "ask", "1")
}

#[test]
fn applying_twice_says_so() -> Result<()> {
    let (program, mut target) = scenario("stacked", "twice")?;
    apply(&target, &program)?;
    let patched = Snapshot::take(target.pid())?;
    let again = apply_with(&target, &program, &["fix.lpatch"])?.expect(0)?;
    ensure!(again.stdout.contains("already"), "{again}");
    patched.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    check_answer(&mut target, "40", "42")
}

#[test]
fn another_patch_of_the_same_name_is_refused() -> Result<()> {
    let (program, target) = scenario("stacked", "same_name")?;
    apply(&target, &program)?;
    program
        .patchgen("old.c", "new-other.c", "fix.lpatch")?
        .expect(0)?;
    apply_with(&target, &program, &["fix.lpatch"])?
        .expect_error(4, "fix")
        .map(drop)
}

#[test]
fn patches_of_one_function_stack() -> Result<()> {
    let (program, mut target) = scenario("stacked", "stacked")?;
    program
        .patchgen("new.c", "newer.c", "second.lpatch")?
        .expect(0)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    apply_with(&target, &program, &["second.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "43")?;
    let listed = list(&target)?;
    ensure!(
        listed.contains("fix  active under `second`  ") && listed.contains("second  active  "),
        "{listed}"
    );

    let patched = Snapshot::take(target.pid())?;
    revert(&target, &["fix"])?.expect_error(4, "second")?;
    patched.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;

    revert(&target, &["second"])?.expect(0)?;
    check_answer(&mut target, "40", "42")?;
    revert(&target, &["fix"])?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn a_patch_uses_what_another_brought_in() -> Result<()> {
    let (program, mut target) = scenario("brought", "brought")?;
    program
        .patchgen("new.c", "newer.c", "second.lpatch")?
        .expect(0)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    check_answer(&mut target, "40", "43")?;
    apply_with(&target, &program, &["second.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "245")?;
    revert(&target, &["fix"])?.expect_error(4, "second")?;
    revert(&target, &["second"])?.expect(0)?;
    revert(&target, &["fix"])?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn a_patch_that_was_not_made_from_the_one_before_names_it() -> Result<()> {
    let (program, mut target) = scenario("stacked", "not_from_it")?;
    program
        .patchgen("old.c", "newer.c", "rival.lpatch")?
        .expect(0)?;
    program
        .patchgen("new.c", "newer.c", "second.lpatch")?
        .expect(0)?;
    apply_with(&target, &program, &["second.lpatch"])?
        .expect_error(4, "was made on top of another one, apply that first")?;
    apply(&target, &program)?;
    let refused = apply_with(&target, &program, &["rival.lpatch"])?;
    refused
        .expect_error(4, "`fix` changed the same functions")?
        .expect_error(4, "`patchgen --supersedes fix`")?;
    check_answer(&mut target, "40", "42")
}

/// Makes a bundle that supersedes others.
fn superseding(program: &Program, new: &str, bundle: &str, names: &[&str]) -> Result<()> {
    let mut more = Vec::new();
    for name in names {
        more.extend(["--supersedes", name]);
    }
    program
        .patchgen_with("old.c", new, bundle, &more)?
        .expect(0)
        .map(drop)
}

#[test]
fn a_patch_supersedes_another_in_one_stop() -> Result<()> {
    let (program, mut target) = scenario("stacked", "supersedes")?;
    superseding(&program, "newer.c", "second.lpatch", &["fix", "absent"])?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    apply_with(&target, &program, &["--dry-run", "second.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "42")?;
    let applied = apply_with(&target, &program, &["--json", "second.lpatch"])?.expect(0)?;
    ensure!(
        applied
            .stdout
            .contains(r#""superseded":[{"patch":"fix","freed_bytes":4096}]"#),
        "{applied}"
    );
    check_answer(&mut target, "40", "43")?;
    let listed = list(&target)?;
    ensure!(
        listed.contains("second  active") && !listed.contains("fix"),
        "{listed}"
    );
    revert(&target, &["second"])?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn what_only_the_superseded_patch_changed_is_as_it_was_built() -> Result<()> {
    let (program, mut target) = scenario("stacked", "supersedes_other")?;
    superseding(&program, "new-other.c", "other.lpatch", &["fix"])?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    check_answer(&mut target, "40", "42")?;
    apply_with(&target, &program, &["other.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    revert(&target, &[])?.expect(0)?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn a_whole_stack_is_superseded_or_nothing_of_it() -> Result<()> {
    let (program, mut target) = scenario("stacked", "supersedes_stack")?;
    program
        .patchgen("new.c", "newer.c", "second.lpatch")?
        .expect(0)?;
    superseding(&program, "new-other.c", "lower.lpatch", &["fix"])?;
    superseding(&program, "new.c", "all.lpatch", &["fix", "second"])?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    apply_with(&target, &program, &["second.lpatch"])?.expect(0)?;
    let stacked = Snapshot::take(target.pid())?;
    apply_with(&target, &program, &["lower.lpatch"])?.expect_error(4, "second")?;
    stacked.check_same(&Snapshot::take(target.pid())?, Extent::Everything)?;
    check_answer(&mut target, "40", "43")?;
    apply_with(&target, &program, &["all.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "42")?;
    let listed = list(&target)?;
    ensure!(
        listed.contains("all  active") && listed.matches("active").count() == 1,
        "{listed}"
    );
    revert(&target, &[])?.expect(0)?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn a_newer_patch_of_the_same_name_may_supersede_the_older() -> Result<()> {
    let (program, mut target) = scenario("stacked", "supersedes_itself")?;
    apply(&target, &program)?;
    superseding(&program, "newer.c", "fix.lpatch", &["fix"])?;
    apply_with(&target, &program, &["fix.lpatch"])?.expect(0)?;
    check_answer(&mut target, "40", "43")?;
    let again = apply_with(&target, &program, &["fix.lpatch"])?.expect(0)?;
    ensure!(again.stdout.contains("already"), "{again}");
    revert(&target, &["fix"])?.expect(0)?;
    check_answer(&mut target, "40", "41")
}

#[test]
fn patches_of_two_functions_are_reverted_by_name_in_any_order() -> Result<()> {
    let (program, mut target) = scenario("stacked", "by_name")?;
    program
        .patchgen("old.c", "new-other.c", "other.lpatch")?
        .expect(0)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    apply_with(&target, &program, &["other.lpatch"])?.expect(0)?;
    revert(&target, &[])?.expect_error(1, "other")?;
    revert(&target, &["nothing"])?.expect_error(1, "nothing")?;
    revert(&target, &["fix"])?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    let listed = list(&target)?;
    ensure!(
        listed.contains("other") && !listed.contains("fix"),
        "{listed}"
    );
    revert(&target, &["other"])?.expect(0)?;
    ensure!(list(&target)?.trim().is_empty(), "something is left");
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn memory_that_live_data_points_into_is_retired_and_freed_later() -> Result<()> {
    let (program, mut target) = scenario("callback", "callback")?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    check_answer(&mut target, "40", "140")?;
    let reverted = revert(&target, &[])?.expect(0)?;
    ensure!(reverted.stdout.contains("its memory stays"), "{reverted}");
    // The old code calls what the new code stored: it must still be there.
    check_answer(&mut target, "40", "140")?;
    let listed = list(&target)?;
    ensure!(listed.contains("retired"), "{listed}");

    target.ask("forget")?;
    revert(&target, &["fix"])?.expect(0)?;
    check_answer(&mut target, "40", "40")?;
    ensure!(list(&target)?.trim().is_empty(), "something is left");
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn several_processes_are_patched_by_one_command() -> Result<()> {
    let (program, mut one) = scenario("stacked", "several")?;
    let mut other = start(&program)?;
    let both = ["--pid", &other.pid_text(), "fix.lpatch"];
    apply_with(&one, &program, &both)?.expect(0)?;
    check_answer(&mut one, "40", "42")?;
    check_answer(&mut other, "40", "42")?;
    revert(&one, &["--pid", &other.pid_text()])?.expect(0)?;
    check_answer(&mut one, "40", "41")?;
    check_answer(&mut other, "40", "41")
}

#[test]
fn one_process_of_two_is_gone() -> Result<()> {
    let (program, mut target) = scenario("stacked", "one_gone")?;
    let both = ["--pid", "4194304", "fix.lpatch"];
    apply_with(&target, &program, &both)?.expect_error(1, "4194304")?;
    check_answer(&mut target, "40", "42")
}

#[test]
fn a_check_changes_nothing() -> Result<()> {
    let (program, target) = scenario("stacked", "check")?;
    let before = Snapshot::take(target.pid())?;
    let bundle = program.path("fix.lpatch");
    livepatch([
        "check".as_ref(),
        "--pid".as_ref(),
        target.pid_text().as_ref(),
        bundle.as_os_str(),
    ])?
    .expect(0)?;
    apply_with(&target, &program, &["--dry-run", "fix.lpatch"])?.expect(0)?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Everything)
}

#[test]
fn results_are_told_as_json() -> Result<()> {
    let (program, target) = scenario("stacked", "json")?;
    let pid = target.pid();
    let applied = apply_with(&target, &program, &["--json", "fix.lpatch"])?.expect(0)?;
    let report: serde_json::Value = serde_json::from_str(&applied.stdout)?;
    ensure!(
        report["pid"] == pid && report["result"] == "applied",
        "{applied}"
    );
    let listed = livepatch(["list", "--json", "--pid", &target.pid_text()])?.expect(0)?;
    let report: serde_json::Value = serde_json::from_str(&listed.stdout)?;
    ensure!(report["patch"] == "fix", "{listed}");
    let failed = revert(&target, &["--json", "nothing"])?.expect(1)?;
    let report: serde_json::Value = serde_json::from_str(&failed.stdout)?;
    ensure!(
        report["status"] == 1 && report["errors"].is_array(),
        "{failed}"
    );
    let reverted = revert(&target, &["--json"])?.expect(0)?;
    let report: serde_json::Value = serde_json::from_str(&reverted.stdout)?;
    ensure!(report["result"] == "reverted", "{reverted}");
    Ok(())
}

/// Lays out the objects of two versions as `DIRECTORY/patch.o` and `DIRECTORY/more/part.o`.
fn lay_out(program: &Program, directory: &str, sources: [&str; 2]) -> Result<()> {
    let directory = program.path(directory);
    std::fs::create_dir_all(directory.join("more"))?;
    for (source, name) in sources.iter().zip(["patch.o", "more/part.o"]) {
        std::fs::copy(program.object(source)?, directory.join(name))?;
    }
    Ok(())
}

fn patch_objects(
    test: &str,
    prepare: impl Fn(&Program) -> Result<[&'static str; 2]>,
) -> Result<()> {
    let program = Program::build("scenarios/objects", test)?;
    lay_out(&program, "before", ["old.c", "part.c"])?;
    lay_out(&program, "after", ["new.c", "new-part.c"])?;
    let [old, new] = prepare(&program)?.map(|name| program.path(name));
    patchgen([&old, &new, &"-o".into(), &program.path("fix.lpatch")])?.expect(0)?;
    let mut target = start(&program)?;
    apply(&target, &program)?;
    check_answer(&mut target, "40", "242")?;
    revert(&target, &[])?.expect(0)?;
    check_answer(&mut target, "40", "141")
}

#[test]
fn directories_of_objects_are_compared() -> Result<()> {
    patch_objects("directories", |_| Ok(["before", "after"]))
}

#[test]
fn archives_are_compared() -> Result<()> {
    patch_objects("archives", |program| {
        for version in ["before", "after"] {
            let mut ar = Command::new("ar");
            ar.current_dir(program.path(version));
            run(ar.args(["rcs", "lib.a", "patch.o", "more/part.o"]))?.expect(0)?;
        }
        Ok(["before/lib.a", "after/lib.a"])
    })
}
