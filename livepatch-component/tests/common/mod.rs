//! Components for tests: a directory each, modules compiled on the spot.

#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod counting;
pub(crate) mod traced;

use livepatch_component::{How, Reply, Request, Shown, Status, Upgrade, ask};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives it up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for a repository and running components.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

/// A running component; ended with its tests.
pub(crate) struct Running {
    pub(crate) name: String,
    directory: PathBuf,
    pub(crate) process: Child,
}

pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("repository")).expect("writable");
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// Compiles a version of the sample in C into the repository.
    pub(crate) fn counter(&self, version: &str, defines: &[&str]) -> PathBuf {
        self.compile("samples/counter/counter.c", "counter", version, defines)
    }

    pub(crate) fn compile(
        &self,
        file: &str,
        name: &str,
        version: &str,
        defines: &[&str],
    ) -> PathBuf {
        let module = self.repository().join(format!("lib{name}_{version}.so"));
        let mut gcc = Command::new("gcc");
        gcc.args([
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused",
        ])
        .args(["-shared", "-fPIC", "-pthread"])
        .arg(format!("-DVERSION=\"{version}\""))
        .arg("-I")
        .arg(source("livepatch-module/include"));
        gcc.args(defines.iter().map(|define| format!("-D{define}")));
        let status = gcc.arg(source(file)).arg("-o").arg(&module).status();
        assert!(
            status.expect("gcc is there").success(),
            "{file} does not compile"
        );
        module
    }

    /// Puts the sample modules in Rust into the repository.
    pub(crate) fn rust_modules(&self) {
        let script = source("scripts/component-modules");
        let status = Command::new(script)
            .arg(self.repository())
            .arg("--debug")
            .status();
        assert!(status.expect("the script can be run").success());
    }

    /// Starts a component.
    pub(crate) fn run(&self, name: &str, version: &str, options: &[&str]) -> Running {
        self.run_in(name, version, options, &[])
    }

    /// Starts a component with these environment variables.
    pub(crate) fn run_in(
        &self,
        name: &str,
        version: &str,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Running {
        let mut program = Command::new(env!("CARGO_BIN_EXE_livepatch-component"));
        program.envs(environment.iter().copied());
        self.run_as(program, name, version, options)
    }

    /// Starts a component by a command that runs `livepatch-component`.
    pub(crate) fn run_as(
        &self,
        mut program: Command,
        name: &str,
        version: &str,
        options: &[&str],
    ) -> Running {
        let process = program
            .args(["run", name, version])
            .arg("--directory")
            .arg(self.directory.path())
            .arg("--repository")
            .arg(self.repository())
            .args(options)
            .stdin(Stdio::null())
            .spawn();
        let running = Running {
            name: name.to_owned(),
            directory: self.directory.path().to_owned(),
            process: process.expect("the component can be started"),
        };
        wait_for("the component answers", || {
            running.try_ask(&Request::Show { symbols: false }).is_some()
        });
        running
    }

    /// A client for the sample's socket.
    pub(crate) fn client(&self) -> UnixDatagram {
        let client = UnixDatagram::unbound().expect("a socket");
        client
            .connect(self.path("numbers"))
            .expect("the component listens");
        client
    }
}

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Running {
    pub(crate) fn try_ask(&self, request: &Request) -> Option<Reply> {
        ask(&self.directory, &self.name, request).ok()
    }

    pub(crate) fn ask(&self, request: &Request) -> Reply {
        self.try_ask(request).expect("the component answers")
    }

    pub(crate) fn show(&self) -> Shown {
        let reply = self.ask(&Request::Show { symbols: true });
        reply.component.expect("`show` shows")
    }

    pub(crate) fn command(&self, words: &[&str]) -> String {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let reply = self.ask(&Request::Command { words });
        assert_eq!(reply.result, Status::Done, "{reply:?}");
        reply.answer.expect("the module answers")
    }

    pub(crate) fn upgrade(&self, version: &str) -> Reply {
        self.upgrade_how(version, How::default())
    }

    pub(crate) fn upgrade_how(&self, version: &str, how: How) -> Reply {
        self.ask(&Request::Upgrade(Upgrade {
            version: version.to_owned(),
            dry_run: false,
            reversible: false,
            how,
        }))
    }

    /// Ends it and checks that it ended well.
    pub(crate) fn stop(mut self) {
        self.ask(&Request::Stop {});
        let status = self.process.wait().expect("it is our child");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // Our child, and not waited for: the number is its own.
            let supervisor = Pid::from_raw(self.process.id().cast_signed());
            let _ = kill(supervisor, Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}
