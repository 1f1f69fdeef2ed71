//! Patches that come and go under load: a thousand threads, busy processors, modules that come and go.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use super::programs::program;
use anyhow::Result;
use std::time::Duration;

/// How many rounds of loading and reverting, each way; `LIVEPATCH_STRESS` says otherwise.
const ROUNDS: u32 = 2;

#[test]
fn patches_come_and_go_under_load() -> Result<()> {
    let rounds = std::env::var("LIVEPATCH_STRESS")
        .ok()
        .and_then(|text| text.parse().ok());
    let rounds: u32 = rounds.unwrap_or(ROUNDS);
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["version"])?;
        guest.file(&kernel.companion()?)?;
        guest.program(&program("crowd")?)?;
        for (name, contents) in kernel.module("dummy")? {
            guest.bytes(&format!("modules/{name}.ko"), &contents);
        }
        guest.deadline(Duration::from_secs(240 + 60 * u64::from(rounds)));
        guest.step("insmod livepatch_kmod.ko");
        guest.step("crowd 1000 >/tmp/crowd & echo $! >/tmp/pid; until grep ready /tmp/crowd; do usleep 100000; done");
        // Ends when the file does.
        guest.step(
            "touch /tmp/busy; (while [ -e /tmp/busy ]; do insmod /modules/dummy.ko; rmmod dummy; usleep 50000; done) \
             >/tmp/modules 2>&1 &",
        );
        for _ in 0..rounds {
            for option in ["", "--atomic"] {
                // What is in force cannot be unloaded, whatever runs.
                guest.step(&format!(
                    "livepatch kernel load {option} version.kpatch && ! rmmod livepatch_version 2>/dev/null \
                     && livepatch revert --kernel version"
                ));
            }
        }
        guest.step("rm /tmp/busy; kill $(cat /tmp/pid); until grep old /tmp/crowd; do usleep 100000; done")
            .output(" other 0");
        guest.step("sleep 1; [ ! -s /tmp/modules ] || ! cat /tmp/modules");
        guest.step("rmmod livepatch_kmod");
        guest.step(CLEAN);
        guest.run("stress").map(drop)
    })
}
