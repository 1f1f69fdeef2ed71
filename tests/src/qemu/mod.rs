//! Stock Debian kernels in QEMU: boots one with a few files, runs steps in it and tells what they came to.
//!
//! The root file system is an archive in memory with busybox, the programs a test needs and their libraries.
//! A step is a line or more for `sh`; all steps of a [`Guest`] run one after another in one boot, since a boot takes most of the time.
//! Files lie in `/t`, where steps begin. An oops, a warning, a stall in the kernel's log fails the boot, whatever the steps say.

mod console;
mod cpio;
mod kernels;
mod pairs;
mod systemd;

pub use console::Outcome;
pub use kernels::{Kernel, SERIES};

use crate::tools::{target_directory, tool};
use anyhow::{Context, Result, bail, ensure};
use cpio::Archive;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a machine may run: a guard against hanging, generous since processors are emulated.
const DEADLINE: Duration = Duration::from_secs(240);
const INIT: &[u8] = include_bytes!("init");
const BUSYBOX: &str = "/bin/busybox";

/// A virtual machine in the making.
#[derive(Debug)]
pub struct Guest {
    kernel: Kernel,
    archive: Archive,
    steps: Vec<Step>,
    prelude: String,
    arguments: String,
    expected_alarms: Vec<String>,
    memory: u32,
    deadline: Duration,
}

/// What is run, and what must come of it.
#[derive(Clone, Debug)]
struct Step {
    script: String,
    /// `None`: whatever it is.
    status: Option<i32>,
    output: Vec<String>,
    error: Vec<String>,
    never: Vec<String>,
}

impl Guest {
    /// A machine for this kernel with busybox in it.
    ///
    /// # Errors
    /// When busybox is missing.
    pub fn new(kernel: &Kernel) -> Result<Self> {
        let mut guest = Self {
            kernel: kernel.clone(),
            archive: Archive::default(),
            steps: Vec::new(),
            prelude: String::new(),
            arguments: String::new(),
            expected_alarms: Vec::new(),
            memory: 768,
            deadline: DEADLINE,
        };
        for directory in [
            "proc", "sys", "dev", "tmp", "root", "etc", "run", "t", "steps",
        ] {
            guest.archive.directory(directory);
        }
        guest.archive.file("init", INIT);
        guest.place(Path::new(BUSYBOX), "bin/busybox")?;
        Ok(guest)
    }

    /// The kernel that it boots.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Puts a file of the host into the guest's `/t`, under its own name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().context("a file has a name")?;
        self.place(path, &format!("t/{}", name.to_string_lossy()))
    }

    /// Puts a file of the host at a path of the guest, without leading slash.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn place(&mut self, path: &Path, to: &str) -> Result<()> {
        let contents =
            fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        self.archive.file(to, &contents);
        Ok(())
    }

    /// Puts bytes at a path of the guest, without leading slash.
    pub fn bytes(&mut self, to: &str, contents: &[u8]) {
        self.archive.file(to, contents);
    }

    /// Puts a program of the host into `/bin`, and the shared libraries it needs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn program(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().context("a program has a name")?;
        for library in kernels::libraries(path)? {
            let to = library.to_string_lossy().into_owned();
            self.place(&library, to.trim_start_matches('/'))?;
        }
        self.bytes(
            &format!("bin/{}", name.to_string_lossy()),
            &kernels::without_debug(path)?,
        );
        Ok(())
    }

    /// Puts the built `livepatch` into `/bin`.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn livepatch(&mut self) -> Result<()> {
        self.program(&tool("livepatch")?)
    }

    /// Loads a module of the kernel, and what it depends on, as a step.
    ///
    /// # Errors
    /// When the kernel has no such module.
    pub fn module(&mut self, name: &str) -> Result<()> {
        for (name, contents) in self.kernel.module(name)? {
            let file = format!("{name}.ko");
            self.archive.file(&format!("modules/{file}"), &contents);
            self.step(&format!(
                "[ -d /sys/module/{name} ] || insmod /modules/{file}"
            ));
        }
        Ok(())
    }

    /// Adds shell functions, which every step may use.
    pub fn prelude(&mut self, text: &str) {
        self.prelude.push_str(text);
    }

    /// Adds to the kernel's command line.
    pub fn argument(&mut self, text: &str) {
        self.arguments.push(' ');
        self.arguments.push_str(text);
    }

    /// Says that lines of the kernel's log with this text are no alarm.
    pub fn expect_alarm(&mut self, text: &str) {
        self.expected_alarms.push(text.to_owned());
    }

    /// Lets the machine run longer than the usual four minutes.
    pub fn deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Adds a step that must exit 0; the result says what else must come of it.
    pub fn step(&mut self, script: &str) -> Wanted<'_> {
        self.steps.push(Step {
            script: script.to_owned(),
            status: Some(0),
            output: Vec::new(),
            error: Vec::new(),
            never: Vec::new(),
        });
        Wanted(self.steps.last_mut().expect("one was pushed"))
    }

    /// Boots, runs the steps, and compares with what was wanted.
    ///
    /// `name` is that of the directory, beside other tests' output, that the logs are kept in.
    ///
    /// # Errors
    /// When the machine hangs, the kernel is not well, or a step came to something else. The
    /// message has all steps that did.
    pub fn run(mut self, name: &str) -> Result<Vec<Outcome>> {
        let directory = target_directory()
            .join("qemu")
            .join(name)
            .join(&self.kernel.release);
        fs::create_dir_all(&directory)?;
        for (number, step) in self.steps.iter().enumerate() {
            let path = format!("steps/{number:03}");
            let script = format!("{}\n{}", self.prelude, step.script);
            self.archive.file(&path, script.as_bytes());
        }
        let archive = std::mem::take(&mut self.archive).finish();
        fs::write(directory.join("initramfs"), archive)?;
        let ended = self.boot(&directory);
        let _ = fs::remove_file(directory.join("initramfs"));
        let log = read_lossy(&directory.join("console"));
        ended.with_context(|| about(&directory, &log))?;
        if let Some(line) = console::alarm(&log, &self.expected_alarms) {
            bail!(
                "the kernel is not well: {line}\n{}",
                about(&directory, &log)
            );
        }
        let reports = read_lossy(&directory.join("reports"));
        let outcomes = console::outcomes(&reports, self.steps.len())
            .with_context(|| about(&directory, &log))?;
        self.compare(&outcomes)?;
        Ok(outcomes)
    }

    fn boot(&self, directory: &Path) -> Result<()> {
        let serial = |name: &str| format!("file:{}", directory.join(name).display());
        let mut command = crate::target::dying("qemu-system-x86_64");
        command
            // Two processors by turns: with a thread for each, one may still run code that the kernel has just replaced on the other
            // (`text_poke_bp`), and traps.
            .args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2"])
            .args(["-m", &self.memory.to_string()])
            .args([
                "-display",
                "none",
                "-no-reboot",
                "-nodefaults",
                "-no-user-config",
            ])
            .args(["-serial", &serial("console"), "-serial", &serial("reports")])
            .arg("-kernel")
            .arg(self.kernel.image())
            .arg("-initrd")
            .arg(directory.join("initramfs"))
            .arg("-append")
            // On a busy machine the emulator's timer is late for the kernel's test of it, and the kernel panics.
            .arg(format!(
                "console=ttyS0 loglevel=5 panic=-1 no_timer_check{}",
                self.arguments
            ));
        wait(&mut command, self.deadline)
    }

    fn compare(&self, outcomes: &[Outcome]) -> Result<()> {
        let both = self.steps.iter().zip(outcomes);
        let failures: Vec<_> = both
            .filter_map(|(step, outcome)| step.failure(outcome))
            .collect();
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        Ok(())
    }
}

/// What must come of a step.
#[derive(Debug)]
pub struct Wanted<'g>(&'g mut Step);

impl Wanted<'_> {
    /// The exit status must be this.
    pub fn status(self, status: i32) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The exit status may be any.
    pub fn any_status(self) -> Self {
        self.0.status = None;
        self
    }

    /// Standard output must contain this.
    pub fn output(self, text: &str) -> Self {
        self.0.output.push(text.to_owned());
        self
    }

    /// Standard error must contain this.
    pub fn error(self, text: &str) -> Self {
        self.0.error.push(text.to_owned());
        self
    }

    /// Neither may contain this.
    pub fn never(self, text: &str) -> Self {
        self.0.never.push(text.to_owned());
        self
    }
}

impl Step {
    /// What is wrong with what came of it.
    fn failure(&self, outcome: &Outcome) -> Option<String> {
        let Outcome {
            status,
            stdout,
            stderr,
        } = outcome;
        let wrong_status = self.status.is_some_and(|wanted| wanted != *status);
        let lacks = |texts: &[String], said: &str| texts.iter().any(|text| !said.contains(text));
        let says = |text: &String| stdout.contains(text) || stderr.contains(text);
        let wrong = wrong_status
            || lacks(&self.output, stdout)
            || lacks(&self.error, stderr)
            || self.never.iter().any(says);
        wrong.then(|| format!("{self}\nexited {status}\n{stdout}{stderr}"))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step `{}`", self.script)?;
        if let Some(status) = self.status {
            write!(f, ", wanted status {status}")?;
        }
        let lists = [
            ("output", &self.output),
            ("error", &self.error),
            ("never", &self.never),
        ];
        for (name, texts) in lists.into_iter().filter(|(_, texts)| !texts.is_empty()) {
            write!(f, ", {name} {texts:?}")?;
        }
        Ok(())
    }
}

fn wait(command: &mut Command, deadline: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot run `qemu-system-x86_64`: run `scripts/bootstrap kernel` first")?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "QEMU ended with {status}");
            return Ok(());
        }
        if started.elapsed() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the machine hung and was ended");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Text that a guest wrote, which may end anywhere.
fn read_lossy(path: &PathBuf) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the logs are, and the end of the kernel's.
fn about(directory: &Path, log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(30)..].join("\n");
    format!("the end of `{}/console`:\n{tail}", directory.display())
}
