//! Hooks of `livepatch.h` in the kernel, which its livepatch core calls, and its shadow variables.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use anyhow::Result;

/// Which hooks ran since this was asked last.
const HOOKS: &str = "hooks() { echo $(dmesg -c | sed -n 's/.*hook: //p'); }\n";

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn hooks_run_around_the_switch() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["hooks"])?;
        guest.file(&kernel.companion()?)?;
        guest.prelude(HOOKS);
        guest.step("echo 78 >/proc/sys/kernel/panic");
        guest
            .step("livepatch kernel load hooks.kpatch")
            .status(4)
            .error("the kernel does not take module `livepatch_hooks`: Operation not permitted");
        guest.step("cat /proc/version").never("read");
        guest.step("hooks").never("before");
        guest.step(CLEAN);
        guest.step("echo 0 >/proc/sys/kernel/panic");
        // After a revert the count begins anew.
        for _ in 0..2 {
            guest.step("livepatch kernel load hooks.kpatch");
            guest.step("hooks").output("before applied\n");
            guest.step("cat /proc/version").output("read 1 times");
            guest.step("cat /proc/version").output("read 2 times");
            guest.step("livepatch revert --kernel hooks");
            guest.step("hooks").output("leaving gone\n");
            guest.step("cat /proc/version").never("read");
        }
        guest.step("insmod livepatch_kmod.ko");
        guest
            .step("livepatch kernel load --atomic hooks.kpatch")
            .status(4)
            .error("has hooks, which only the kernel's livepatch core calls");
        guest.step("rmmod livepatch_kmod");
        guest.step(CLEAN);
        guest.run("hooks").map(drop)
    })
}
