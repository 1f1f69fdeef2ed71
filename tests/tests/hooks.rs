//! Hooks on busy programs, and shadow variables of several patches.

use anyhow::{Result, ensure};
use livepatch_tests::case::{apply, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{
    Finished, livepatch, patchgen, run, target_directory, tests_directory,
};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start or to answer; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(20);

fn revert(target: &Target, name: &str) -> Result<Finished> {
    livepatch(["revert", "--pid", &target.pid_text(), name])?.expect(0)
}

fn check_answer(target: &mut Target, question: &str, wanted: &str) -> Result<()> {
    let answer = target.ask(question)?;
    ensure!(answer == wanted, "answered `{answer}`, wanted `{wanted}`");
    Ok(())
}

#[test]
fn a_hook_may_allocate_while_others_do() -> Result<()> {
    let program = Program::build("scenarios/hooks", "hooks_allocate")?;
    program.patch()?;
    let mut target = start(&program)?;
    for _ in 0..10 {
        apply(&target, &program)?;
        check_answer(&mut target, "40", "41")?;
        revert(&target, "fix")?;
        check_answer(&mut target, "40", "40")?;
    }
    target.check_undisturbed()
}

/// Hooks that sleep, on the only thread, which itself sleeps in a call that the kernel continues by `restart_syscall(2)`.
#[test]
fn a_hook_may_sleep_on_a_thread_that_waits_for_a_time() -> Result<()> {
    let program = Program::build("scenarios/waiting", "hooks_waiting")?;
    program.patch()?;
    let mut target = start(&program)?;
    for question in ["40", "sleep 3000"] {
        target.tell(question)?;
        if question == "40" {
            ensure!(target.read_line()? == "40", "the old answer");
        }
        apply(&target, &program)?;
        revert(&target, "fix")?;
        apply(&target, &program)?;
        if question != "40" {
            let slept: u64 = target.read_line()?.parse()?;
            ensure!(slept >= 3000, "slept for {slept} ms only");
        }
        check_answer(&mut target, "40", "41")?;
        revert(&target, "fix")?;
    }
    target.check_undisturbed()
}

/// A second patch, made from the source with the first one.
fn second(program: &Program) -> Result<()> {
    let (old, new) = (program.object("new.c")?, program.object("newer.c")?);
    let output = program.path("more.lpatch");
    patchgen([
        old.as_os_str(),
        new.as_os_str(),
        "-o".as_ref(),
        output.as_os_str(),
    ])?
    .expect(0)?;
    Ok(())
}

#[test]
fn a_hook_that_refuses_leaves_the_patch_that_would_be_superseded() -> Result<()> {
    let program = Program::build("scenarios/refusing", "supersedes_refusing")?;
    program.patch()?;
    program
        .patchgen_with(
            "old.c",
            "newer.c",
            "second.lpatch",
            &["--supersedes", "fix"],
        )?
        .expect(0)?;
    let mut target = start(&program)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    let patched = Snapshot::take(target.pid())?;
    apply_with(&target, &program, &["second.lpatch"])?.expect_error(4, "hook")?;
    check_answer(&mut target, "40", "42")?;
    patched.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    revert(&target, "fix")?.expect(0)?;
    check_answer(&mut target, "40", "41")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
}

#[test]
fn patches_share_a_shadow_variable_until_the_last_one_goes() -> Result<()> {
    let program = Program::build("scenarios/shadow", "shadow_shared")?;
    program.patch()?;
    second(&program)?;
    let mut target = start(&program)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "41")?;
    check_answer(&mut target, "answer 40", "42")?;
    apply_with(&target, &program, &["more.lpatch"])?.expect(0)?;
    check_answer(&mut target, "other 20", "43")?;
    revert(&target, "fix")?;
    check_answer(&mut target, "answer 40", "40")?;
    check_answer(&mut target, "other 20", "44")?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "45")?;
    revert(&target, "more")?;
    check_answer(&mut target, "answer 40", "46")?;
    revert(&target, "fix")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "41")?;
    target.check_undisturbed()
}

/// `samples/kvd`, running; killed with the test.
struct Kvd {
    process: Child,
    port: u16,
}

impl Kvd {
    /// Builds the sample below `build` and starts the server.
    fn start(build: &Path) -> Result<Self> {
        let sources = tests_directory().join("../samples/kvd");
        let mut make = Command::new("make");
        make.args(["--silent", "-C"]).arg(sources);
        run(make.arg(format!("BUILD={}", build.display())))?.expect(0)?;
        let port_file = build.join("port");
        fs::remove_file(&port_file).ok();
        let process = dying(build.join("kvd"))
            .args(["--port", "0", "--workers", "2", "--port-file"])
            .arg(&port_file)
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { process, port: 0 };
        let begin = Instant::now();
        while server.port == 0 {
            ensure!(begin.elapsed() < PATIENCE, "the server does not start");
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            server.port = text.trim().parse().unwrap_or(0);
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn pid(&self) -> String {
        self.process.id().to_string()
    }

    fn client(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }

    /// Whether the client is trusted after it has shown so many wrong tokens and the right one.
    fn trusts(client: &mut BufReader<TcpStream>, wrong: usize) -> Result<bool> {
        let tokens = vec!["wrong"; wrong];
        let mut answer = String::new();
        for token in tokens.into_iter().chain(["correct-horse-battery-staple"]) {
            writeln!(client.get_mut(), "AUTH {token}")?;
            answer.clear();
            client.read_line(&mut answer)?;
        }
        Ok(answer == "+OK\r\n")
    }
}

impl Drop for Kvd {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn open_connections_get_a_field_more() -> Result<()> {
    let build = target_directory().join("built/kvd_token_guessing");
    let server = Kvd::start(&build)?;
    let mut early = server.client()?;
    ensure!(Kvd::trusts(&mut early, 9)?, "the bug is gone");
    let fix = build.join("fixes/05-token-guessing");
    let bundle = build.join("guessing.lpatch");
    patchgen([
        fix.join("old").as_os_str(),
        fix.join("new").as_os_str(),
        "-o".as_ref(),
        bundle.as_os_str(),
    ])?
    .expect(0)?;
    let bundle = bundle.display().to_string();
    livepatch(["apply", "--pid", &server.pid(), &bundle])?.expect(0)?;
    ensure!(Kvd::trusts(&mut early, 4)?, "four are allowed");
    ensure!(!Kvd::trusts(&mut early, 5)?, "five are not");
    ensure!(Kvd::trusts(&mut server.client()?, 0)?, "others may");
    livepatch(["revert", "--pid", &server.pid()])?.expect(0)?;
    ensure!(Kvd::trusts(&mut early, 9)?, "the fix is still there");
    livepatch(["apply", "--pid", &server.pid(), &bundle])?.expect(0)?;
    ensure!(Kvd::trusts(&mut early, 0)?, "an old count came back");
    Ok(())
}
