//! Real programs, patched with real security fixes while they serve.

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Trial};
use livepatch_tests::explain;
use livepatch_tests::servers::{self, Installation, Instance, Load, Server, Variant, Verdict};
use livepatch_tests::tools::livepatch;
use std::thread;
use std::time::Duration;

/// Requests per second below which a load proves nothing.
const MINIMUM_RATE: f64 = 50.0;
/// How long the load runs before, between and after the changes.
const WHILE: Duration = Duration::from_millis(500);

const VARIANTS: [(&str, Variant); 3] = [
    ("symbols", Variant::Symbols),
    ("stripped", Variant::Stripped),
    ("stripped_target", Variant::StrippedTarget),
];

fn main() {
    let mut trials = Vec::new();
    for server in servers::all() {
        for (label, variant) in VARIANTS {
            let test = move || run(server, variant).map_err(|error| explain(&error).into());
            trials.push(Trial::test(format!("{}::{label}", server.name()), test));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(server: &'static dyn Server, variant: Variant) -> Result<()> {
    let installation = Installation::build(server.name())?;
    let directory = tempfile::tempdir()?;
    let bundle = directory.path().join("fix.lpatch");
    installation.patchgen(variant, &bundle)?;

    let instance = Instance::start(server, &installation, variant)?;
    check(&instance, Verdict::Vulnerable).context("before the patch")?;
    let before = instance.processes()?;
    let load = Load::start(server, instance.port);
    thread::sleep(WHILE);

    for process in &before {
        let answered = load.answered();
        let pid = process.pid.to_string();
        livepatch([
            "apply".as_ref(),
            "--pid".as_ref(),
            pid.as_ref(),
            bundle.as_os_str(),
        ])?
        .expect(0)?;
        ensure!(load.answered() > answered, "no request while `apply` ran");
    }
    check(&instance, Verdict::Fixed).context("with the patch")?;
    thread::sleep(WHILE);

    for process in &before {
        livepatch(["revert", "--pid", &process.pid.to_string()])?.expect(0)?;
    }
    check(&instance, Verdict::Vulnerable).context("after the revert")?;
    thread::sleep(WHILE);

    let report = load.finish();
    ensure!(
        report.failures.is_empty(),
        "under load: {:?}",
        report.failures
    );
    ensure!(report.rate() > MINIMUM_RATE, "too little load: {report:?}");
    ensure!(instance.processes()? == before, "the processes changed");
    println!(
        "{}: {} requests, none failed",
        server.name(),
        report.answered
    );
    Ok(())
}

fn check(instance: &Instance, wanted: Verdict) -> Result<()> {
    instance.server.smoke(instance.port).context("smoke test")?;
    let verdict = instance.server.probe(instance.port).context("probe")?;
    ensure!(verdict == wanted, "the probe says {verdict:?}");
    instance
        .server
        .smoke(instance.port)
        .context("smoke test after the probe")
}
