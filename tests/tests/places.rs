//! Targets in other places: containers, and files that are no longer where the process got them from.

use anyhow::{Context, Result, ensure};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::{Target, children, dying};
use livepatch_tests::tools::{livepatch, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A case with its patch, and an empty directory for the test.
fn case(name: &str, test: &str) -> Result<(Program, PathBuf)> {
    let program = Program::build(&format!("cases/{name}"), &format!("places/{test}"))?;
    program.patch()?;
    let directory = std::path::absolute(program.path("place"))?;
    fs::create_dir_all(&directory)?;
    Ok((program, directory))
}

/// Puts the case's question as often as there are answers.
fn expect(target: &mut Target, program: &Program, wanted: &[String]) -> Result<()> {
    for wanted in wanted {
        let answer = target.ask(&program.directives.ask)?;
        ensure!(answer == *wanted, "answered `{answer}`, wanted `{wanted}`");
    }
    Ok(())
}

/// Applies, asks, reverts and asks; `pid` is that of the process which answers.
fn in_and_out(target: &mut Target, pid: u32, program: &Program) -> Result<()> {
    let directives = &program.directives;
    let pid_text = pid.to_string();
    expect(target, program, &directives.before)?;
    let before = Snapshot::take(pid)?;
    let bundle = program.path("fix.lpatch");
    livepatch([
        "apply".as_ref(),
        "--pid".as_ref(),
        pid_text.as_ref(),
        bundle.as_os_str(),
    ])?
    .expect(0)?;
    expect(target, program, &directives.output)?;
    let listed = livepatch(["list", "--pid", &pid_text])?.expect(0)?;
    ensure!(listed.stdout.contains("active"), "{listed}");
    livepatch(["revert", "--pid", &pid_text])?.expect(0)?;
    expect(target, program, &directives.after)?;
    before.check_same(&Snapshot::take(pid)?, Extent::Mapped)
}

/// Starts `command`, which becomes the program, and does all.
fn check(command: &mut Command, program: &Program) -> Result<()> {
    let mut target = Target::start(command)?;
    let pid = target.pid();
    in_and_out(&mut target, pid, program)?;
    target.check_undisturbed()
}

/// The process that answers where `unshare` stays its parent.
fn only_child(target: &Target) -> Result<u32> {
    let children = children(target.pid())?;
    ensure!(children.len() == 1, "the children are {children:?}");
    Ok(children[0])
}

fn unshare(arguments: &[&str]) -> Command {
    let mut command = dying("unshare");
    command.args(arguments);
    command
}

/// A shell in a mount namespace of its own, which ends by becoming something.
fn in_mounts(script: &str, arguments: &[&Path]) -> Command {
    let mut command = unshare(&["--mount", "sh", "-ec", script, "sh"]);
    command.args(arguments);
    command
}

/// Copies a file to a directory, and what it needs of shared libraries to the same paths below.
fn install(file: &Path, root: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, root.join(name))?;
    let mut ldd = Command::new("ldd");
    let needed = run(ldd.arg(file).current_dir(file.parent().unwrap_or(root)))?.expect(0)?;
    let paths = needed.stdout.split_whitespace();
    for path in paths.filter(|word| word.starts_with('/')) {
        let to = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap_or(root))?;
        fs::copy(path, to)?;
    }
    Ok(())
}

#[test]
fn a_file_that_only_the_targets_mounts_have() -> Result<()> {
    let (program, place) = case("changed_body", "mounts")?;
    let script = r#"mount -t tmpfs none "$2"; cp "$1" "$2/server"; exec "$2/server""#;
    let executable = std::path::absolute(program.executable())?;
    check(&mut in_mounts(script, &[&executable, &place]), &program)
}

#[test]
fn a_library_that_only_the_targets_mounts_have() -> Result<()> {
    let (program, place) = case("shared", "mounts_library")?;
    let script = r#"
        mount -t tmpfs none "$2"; cp "$1/program" "$1/libcase.so" "$2"
        LD_LIBRARY_PATH="$2" exec "$2/program""#;
    let built = std::path::absolute(program.path("."))?;
    check(&mut in_mounts(script, &[&built, &place]), &program)
}

#[test]
fn another_file_where_the_targets_was_in_its_mounts() -> Result<()> {
    let (program, place) = case("stripped_debug_file", "mounts_other")?;
    // What lies at the same path outside is a program as well, and the wrong one.
    fs::copy("/bin/true", place.join("server"))?;
    let script = r#"mount -t tmpfs none "$2"; cp "$1" "$2/server"; exec "$2/server""#;
    let executable = std::path::absolute(program.executable())?;
    let mut target = Target::start(&mut in_mounts(script, &[&executable, &place]))?;
    let pid = target.pid().to_string();
    let applied = livepatch([
        "apply".as_ref(),
        "--pid".as_ref(),
        pid.as_ref(),
        program.path("fix.lpatch").as_os_str(),
    ])?;
    // Its debug file is not asked for, so that it is found by its code: applied, and never by the wrong file's names.
    applied.expect(0)?;
    expect(&mut target, &program, &["1021".into()])?;
    target.check_undisturbed()
}

#[test]
fn a_changed_root_with_nothing_but_a_static_program() -> Result<()> {
    for name in ["static", "static_pie"] {
        let (program, place) = case(name, &format!("chroot_{name}"))?;
        fs::copy(program.executable(), place.join("server"))?;
        let mut command = dying("chroot");
        command.arg(&place).arg("/server");
        check(&mut command, &program)?;
    }
    Ok(())
}

#[test]
fn a_changed_root_with_libraries() -> Result<()> {
    for name in ["changed_body", "shared"] {
        let (program, place) = case(name, &format!("chroot_{name}"))?;
        install(&std::path::absolute(program.executable())?, &place)?;
        if name == "shared" {
            fs::copy(program.module(), place.join("libcase.so"))?;
        }
        let mut command = dying("chroot");
        command
            .env("LD_LIBRARY_PATH", "/")
            .arg(&place)
            .arg("/program");
        check(&mut command, &program)?;
    }
    Ok(())
}

#[test]
fn a_pid_namespace() -> Result<()> {
    let (program, _) = case("changed_body", "pid_namespace")?;
    let mut command = unshare(&["--pid", "--fork", "--kill-child", "--mount-proc"]);
    let mut target = Target::start(command.arg(program.executable()))?;
    let pid = only_child(&target)?;
    in_and_out(&mut target, pid, &program)
}

#[test]
fn a_user_namespace() -> Result<()> {
    let (program, _) = case("changed_body", "user_namespace")?;
    let mut command = unshare(&["--user", "--map-root-user"]);
    check(command.arg(program.executable()), &program)
}

#[test]
fn an_overlay() -> Result<()> {
    let (program, place) = case("shared", "overlay")?;
    let script = r#"
        mount -t tmpfs none "$2"; cd "$2"; mkdir lower upper work all
        cp "$1/program" "$1/libcase.so" lower
        mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none all
        LD_LIBRARY_PATH="$2/all" exec "$2/all/program""#;
    let built = std::path::absolute(program.path("."))?;
    check(&mut in_mounts(script, &[&built, &place]), &program)
}

#[test]
fn a_container() -> Result<()> {
    let (program, place) = case("changed_body", "container")?;
    install(&std::path::absolute(program.executable())?, &place)?;
    let script = r#"exec unshare --user --map-root-user --mount --pid --fork --kill-child chroot "$1" /program"#;
    let mut target = Target::start(dying("sh").args(["-ec", script, "sh"]).arg(&place))?;
    let pid = only_child(&target)?;
    in_and_out(&mut target, pid, &program)
}

/// What becomes of the files after the start.
#[derive(Clone, Copy)]
enum Fate {
    Deleted,
    /// By rename, as package managers do.
    Replaced,
}

fn check_fate(name: &str, test: &str, fate: Fate) -> Result<()> {
    let (program, place) = case(name, test)?;
    let copy = |file: &Path| -> Result<PathBuf> {
        let to = place.join(file.file_name().context("a file has a name")?);
        fs::copy(file, &to)?;
        Ok(to)
    };
    let mut files = vec![copy(&program.executable())?];
    if program.module() != program.executable() {
        files.push(copy(&program.module())?);
    }
    let mut command = dying(&files[0]);
    let mut target = Target::start(command.env("LD_LIBRARY_PATH", &place))?;
    for file in &files {
        match fate {
            Fate::Deleted => fs::remove_file(file)?,
            Fate::Replaced => {
                let newer = file.with_extension("dpkg-new");
                fs::copy("/bin/true", &newer)?;
                fs::set_permissions(&newer, fs::Permissions::from_mode(0o755))?;
                fs::rename(newer, file)?;
            }
        }
    }
    let pid = target.pid();
    in_and_out(&mut target, pid, &program)?;
    target.check_undisturbed()
}

#[test]
fn deleted_files() -> Result<()> {
    for name in ["changed_body", "shared", "static", "musl"] {
        check_fate(name, &format!("deleted_{name}"), Fate::Deleted).context(name)?;
    }
    Ok(())
}

#[test]
fn replaced_files() -> Result<()> {
    for name in ["changed_body", "shared", "static", "musl"] {
        check_fate(name, &format!("replaced_{name}"), Fate::Replaced).context(name)?;
    }
    Ok(())
}

#[test]
fn a_preloaded_library() -> Result<()> {
    let (program, place) = case("shared", "preloaded")?;
    // The copy that is linked would be found by the same name: only the preloaded one is there.
    let library = place.join("libcase.so");
    fs::copy(program.module(), &library)?;
    let mut command = dying(program.executable());
    command.env("LD_PRELOAD", &library).current_dir(&place);
    check(&mut command, &program)
}
