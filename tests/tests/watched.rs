//! Real programs that are started and started again while `livepatch watch` keeps their fix applied.
//!
//! A binary of its own: it would patch the same programs of the other tests, too.

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Trial};
use livepatch_tests::explain;
use livepatch_tests::servers::{self, Installation, Instance, Server, Variant, Verdict};
use livepatch_tests::watch::Watch;
use std::collections::BTreeSet;
use std::fs;

const STARTS: usize = 2;

fn main() {
    let trial = |server: &'static dyn Server| {
        let test = move || run(server).map_err(|error| explain(&error).into());
        Trial::test(server.name(), test)
    };
    let mut arguments = Arguments::from_args();
    // Each would see the others' processes.
    arguments.test_threads = Some(1);
    let trials = servers::all().into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(server: &'static dyn Server) -> Result<()> {
    let installation = Installation::build(server.name())?;
    let directory = tempfile::tempdir()?;
    installation.patchgen(
        Variant::StrippedTarget,
        &directory.path().join("fix.lpatch"),
    )?;
    let watch = Watch::start(directory.path(), &[])?;
    for _ in 0..STARTS {
        let instance = Instance::start(server, &installation, Variant::StrippedTarget)?;
        wait_until_patched(&watch, &instance)?;
        server.smoke(instance.port).context("smoke test")?;
        let verdict = server.probe(instance.port).context("probe")?;
        ensure!(verdict == Verdict::Fixed, "the probe says {verdict:?}");
    }
    fs::remove_file(directory.path().join("fix.lpatch"))?;
    watch.wait_for("it stays where it is applied")?;
    watch.end()
}

/// Waits until the watcher says that every process of the program has the patch.
fn wait_until_patched(watch: &Watch, instance: &Instance) -> Result<()> {
    let mut missing: BTreeSet<u32> = instance.processes()?.iter().map(|one| one.pid).collect();
    while !missing.is_empty() {
        let line = watch.wait_for("applied `fix` to process ")?;
        missing.retain(|pid| !line.contains(&format!("process {pid} ")));
    }
    Ok(())
}
