//! A kernel without CONFIG_LIVEPATCH (`scripts/small-kernel`): the companion module alone can do it.

use super::kinds::kind;
use super::load::{CLEAN, guest, load_at_once};
use anyhow::Result;
use livepatch_tests::qemu::Kernel;

/// Patches of functions that refer to what no module may: variables and functions of their own files.
const PATCHES: [&str; 3] = ["hidden", "oom", "stats"];

#[test]
#[ignore = "needs `scripts/small-kernel`, which compiles for ten minutes: `scripts/test --full`"]
fn the_companion_does_without_the_kernels_livepatch_core() -> Result<()> {
    let kernel = Kernel::unpacked("small")?;
    let mut guest = guest(&kernel, &[&["version", "slow"][..], &PATCHES].concat())?;
    guest.file(&kernel.companion()?)?;
    guest.step("[ ! -e /sys/kernel/livepatch ]");
    for command in ["load", "check"] {
        guest
            .step(&format!("livepatch kernel {command} version.kpatch"))
            .status(4)
            .error("this kernel has no livepatch support (CONFIG_LIVEPATCH)")
            .error("help: the companion module can do without: `--atomic`");
    }
    guest
        .step("livepatch kernel load --atomic version.kpatch")
        .status(1)
        .error("the companion module is not there")
        .error("help: build livepatch-kmod for this kernel");
    guest.step(CLEAN);
    guest.step("insmod livepatch_kmod.ko");
    guest.step("livepatch kernel check --atomic version.kpatch");
    load_at_once(&mut guest);
    guest
        .step("livepatch kernel load --atomic slow.kpatch")
        .status(4)
        .error("somebody else redirects `version_proc_show`");
    guest.step("rmmod livepatch_version").status(1);
    guest
        .step("livepatch revert --kernel version")
        .output("is reverted");
    guest.step("cat /proc/version").never("patched");
    guest.step(CLEAN);
    for kind in PATCHES.iter().filter_map(|name| kind(name)) {
        kind.add(&mut guest, "--atomic");
    }
    guest.step("rmmod livepatch_kmod");
    guest.step(CLEAN);
    guest.run("no-livepatch").map(drop)
}
