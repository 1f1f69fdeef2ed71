//! A real program built, and running.

use super::Server;
use crate::target::{Identity, children, dying};
use crate::tools::{run, target_directory, tests_directory, tool};
use anyhow::{Result, ensure};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Which build of a program runs, and what `patchgen` gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// With its symbol table.
    Symbols,
    /// Without: everything is found by matching the running code.
    Stripped,
    /// Without, but `patchgen --target` sees the file with symbols.
    StrippedTarget,
}

/// A built program.
#[derive(Debug)]
pub struct Installation {
    directory: PathBuf,
}

impl Installation {
    /// Builds a program, or finds it built.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(name: &str) -> Result<Self> {
        let directory = target_directory().join("programs").join(name);
        // Takes minutes at first, longer than `tools::run` allows.
        let status = Command::new(tests_directory().join("programs/build"))
            .arg(name)
            .arg(&directory)
            .status()?;
        ensure!(status.success(), "`tests/programs/build {name}` failed");
        Ok(Self { directory })
    }

    /// A file of the installation.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The file that the changed code is linked into, with symbols.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        let library = self.path("lib/libcjson_utils.so.1");
        if library.exists() {
            library
        } else {
            self.path("program")
        }
    }

    /// Makes the program's patch.
    ///
    /// # Errors
    /// When `patchgen` fails.
    pub fn patchgen(&self, variant: Variant, bundle: &Path) -> Result<()> {
        let mut command = Command::new(tool("patchgen")?);
        command.arg(self.path("old")).arg(self.path("new"));
        command.arg("-o").arg(bundle);
        if variant == Variant::StrippedTarget {
            command.arg("--target").arg(self.module());
        }
        run(&mut command)?.expect(0).map(drop)
    }

    fn executable(&self, variant: Variant) -> PathBuf {
        match variant {
            Variant::Symbols => self.path("program"),
            _ => self.path("program.stripped"),
        }
    }

    fn libraries(&self, variant: Variant) -> PathBuf {
        match variant {
            Variant::Symbols => self.path("lib"),
            _ => self.path("lib.stripped"),
        }
    }
}

/// A running program.
pub struct Instance {
    /// What runs.
    pub server: &'static dyn Server,
    /// Where it listens.
    pub port: u16,
    child: Child,
    run: tempfile::TempDir,
}

impl Instance {
    /// Starts a program and waits until it listens and all its processes are there.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn start(
        server: &'static dyn Server,
        installation: &Installation,
        variant: Variant,
    ) -> Result<Self> {
        let run = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let inner = server.command(&installation.executable(variant), run.path(), port)?;
        // Its own process namespace, so that workers die with the process that started them.
        let mut command = dying("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .env("LD_LIBRARY_PATH", installation.libraries(variant))
            .current_dir(run.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(run.path().join("stdout"))?)
            .stderr(fs::File::create(run.path().join("stderr"))?);
        let child = command.spawn()?;
        let instance = Self {
            server,
            port,
            child,
            run,
        };
        instance.wait_ready()?;
        Ok(instance)
    }

    fn wait_ready(&self) -> Result<()> {
        let begin = Instant::now();
        while self.pids()?.len() != self.server.processes()
            || TcpStream::connect(("127.0.0.1", self.port)).is_err()
        {
            ensure!(
                begin.elapsed() < super::PATIENCE,
                "`{}` did not start: {}",
                self.server.name(),
                fs::read_to_string(self.run.path().join("stderr"))?
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Every process of the program.
    ///
    /// # Errors
    /// When it is gone.
    pub fn processes(&self) -> Result<Vec<Identity>> {
        let pids = self.pids()?;
        pids.into_iter().map(Identity::of).collect()
    }

    fn pids(&self) -> Result<Vec<u32>> {
        let mut pids = children(self.child.id())?;
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(children(pid)?);
            next += 1;
        }
        Ok(pids)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
