//! Our side: the ledger as a component.

use super::load::Load;
use super::machine;
use super::report::Row;
use super::{Arguments, Case, Kind};
use anyhow::{Context, Result, bail, ensure};
use livepatch_component::{How, Record, Reply, Request, Status, Upgrade, ask};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the modules are.
pub(crate) struct Place {
    directory: TempDir,
    program: PathBuf,
}

impl Place {
    /// Builds the modules, for release, into a repository.
    pub(crate) fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let script = root.join("scripts/component-modules");
        let status = Command::new(script)
            .arg(directory.path().join("repository"))
            .status()?;
        ensure!(status.success(), "the modules could not be built");
        let own = std::env::current_exe()?;
        let program = own.with_file_name("livepatch-component");
        ensure!(program.is_file(), "`{}` is not built", program.display());
        Ok(Self { directory, program })
    }
}

/// The component that is measured.
struct Ledger<'a> {
    place: &'a Place,
    process: Child,
}

impl<'a> Ledger<'a> {
    fn start(place: &'a Place, backing: &str) -> Result<Self> {
        let process = Command::new(&place.program)
            .args(["run", "ledger", "1.0.0", "--directory"])
            .arg(place.directory.path())
            .arg("--repository")
            .arg(place.directory.path().join("repository"))
            .args(["--backing", backing])
            .stderr(Stdio::null())
            .spawn()?;
        let ledger = Self { place, process };
        let end = Instant::now() + Duration::from_secs(10);
        while ledger.ask(&Request::Show { symbols: false }).is_err() {
            ensure!(Instant::now() < end, "the component does not start");
            thread::sleep(Duration::from_millis(10));
        }
        if machine::is_ours() {
            let shown = ledger.ask(&Request::Show { symbols: false })?.component;
            let main_task = shown.context("`show` shows nothing")?.pid;
            machine::prefer(main_task, machine::SERVER)?;
        }
        Ok(ledger)
    }

    fn ask(&self, request: &Request) -> Result<Reply> {
        Ok(ask(self.place.directory.path(), "ledger", request)?)
    }

    fn command(&self, words: &[&str]) -> Result<String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let reply = self.ask(&Request::Command { words })?;
        ensure!(reply.result == Status::Done, "{reply:?}");
        reply.answer.context("no answer")
    }

    fn worst(&self) -> Result<u64> {
        Ok(self.command(&["worst"])?.parse()?)
    }

    /// What the component tells of an upgrade.
    fn upgrade(&self, version: &str, expected: Status) -> Result<Record> {
        let reply = self.ask(&Request::Upgrade(Upgrade {
            version: version.to_owned(),
            dry_run: false,
            reversible: false,
            how: How::default(),
        }))?;
        ensure!(reply.result == expected, "{reply:?}");
        reply.history.into_iter().next().context("no record")
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        let _ = self.ask(&Request::Stop {});
        let _ = self.process.wait();
    }
}

/// Measures one case.
pub(crate) fn measure(place: &Place, case: Case, arguments: &Arguments) -> Result<Row> {
    let ledger = Ledger::start(place, &arguments.backing)?;
    ledger.command(&["fill", &case.records.to_string()])?;
    let socket = place.directory.path().join("ledger.messages");
    ledger.command(&["listen", socket.to_str().context("a plain path")?])?;
    let load = Load::start(&socket, arguments.rate)?;
    let half = Duration::from_millis(arguments.window / 2);
    thread::sleep(Duration::from_millis(500));
    let mut row = Row::new("livepatch", case.name);
    let mut took = Duration::ZERO;
    for number in 0..arguments.upgrades {
        ledger.worst()?;
        thread::sleep(half * 2 + took);
        row.control.push(ledger.worst()?);
        thread::sleep(half);
        let begin = Instant::now();
        let record = match (case.kind, number % 2) {
            (Kind::Keep, 0) => ledger.upgrade("1.0.1", Status::Done),
            (Kind::Migrate, 0) => ledger.upgrade("2.0.0", Status::Done),
            (Kind::Keep | Kind::Migrate, _) => ledger.upgrade("1.0.0", Status::Done),
            (Kind::Fail, _) => ledger.upgrade("refusing", Status::Error),
            (Kind::Panic, _) => ledger.upgrade("broken", Status::Error),
        };
        let record = record?;
        row.pause.push(record.pause_ns);
        row.busy.push(record.pause_busy_ns);
        let phases = record.phases;
        row.before.push(phases.warm_up_ns.max(phases.rehearsal_ns));
        took = begin.elapsed();
        thread::sleep(half);
        row.upgrade.push(ledger.worst()?);
    }
    row.sent = load.stop()?;
    let end = Instant::now() + Duration::from_secs(5);
    while !ledger
        .command(&["show"])?
        .contains(&format!("count {} ", row.sent))
    {
        if Instant::now() > end {
            bail!("{} were sent: {}", row.sent, ledger.command(&["show"])?);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let shown = ledger.command(&["show"])?;
    ensure!(shown.ends_with("lost 0 late 0"), "{shown}");
    Ok(row)
}
