//! What is there again after a boot: patches that systemd loads, and the companion as dkms builds it.

use super::load::{CLEAN, guest, load_at_once};
use super::on_each_kernel;
use anyhow::{Result, ensure};
use livepatch_tests::tools::target_directory;

/// Installed as into a system that is not running, with a patch for another kernel beside it.
const INSTALL: &str = "livepatch kernel install version.kpatch && systemctl enable livepatch-kernel.service \
    && mkdir /etc/livepatch/kernel/6.9.0-other && cp oom.kpatch /etc/livepatch/kernel/6.9.0-other";

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn systemd_loads_the_patches_of_the_kernel_that_boots() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["version", "oom"])?;
        guest.systemd(INSTALL)?;
        guest.step("cat /proc/1/comm").output("systemd");
        guest
            .step("systemctl is-active livepatch-kernel.service")
            .output("active");
        guest.step("cat /proc/version").output("patched version");
        guest
            .step("livepatch kernel list")
            .output("version  active")
            .never("oom");
        // The same with systemd running.
        guest.step(
            "livepatch kernel install oom.kpatch && systemctl is-enabled livepatch-kernel.service",
        );
        guest
            .step("systemctl restart livepatch-kernel.service")
            .any_status();
        guest
            .step("livepatch kernel list")
            .output("version  active")
            .output("oom  active");
        guest.step("livepatch kernel uninstall version && livepatch kernel uninstall oom");
        guest.step("! systemctl is-enabled livepatch-kernel.service && [ ! -e /etc/systemd/system/sysinit.target.wants/livepatch-kernel.service ]");
        guest.step("livepatch revert --kernel oom && livepatch revert --kernel version");
        guest.step(CLEAN);
        guest.run("systemd").map(drop)
    })
}

#[test]
#[ignore = "needs what `scripts/try-dkms` built: `scripts/test --full`"]
fn the_module_that_dkms_built_is_loaded() -> Result<()> {
    on_each_kernel(|kernel| {
        let module = target_directory()
            .join("kmod-dkms")
            .join(&kernel.release)
            .join("livepatch_kmod.ko");
        let shown = module.display();
        ensure!(
            module.exists(),
            "`{shown}` is missing: run `scripts/try-dkms` first"
        );
        let mut guest = guest(kernel, &["version"])?;
        guest.file(&module)?;
        guest.step("insmod livepatch_kmod.ko");
        load_at_once(&mut guest);
        guest.step("livepatch revert --kernel version && rmmod livepatch_kmod");
        guest.step(CLEAN);
        guest.run("dkms").map(drop)
    })
}
