//! `livepatch kernel`, with patches that `patchgen --kernel` made.

use super::on_each_kernel;
use anyhow::Result;
use livepatch_tests::qemu::{Guest, Kernel};

/// A machine with `livepatch` and these patches in it.
pub(super) fn guest(kernel: &Kernel, patches: &[&str]) -> Result<Guest> {
    let mut guest = Guest::new(kernel)?;
    guest.livepatch()?;
    for patch in patches {
        guest.file(&kernel.kpatch(patch, &[])?)?;
    }
    Ok(guest)
}

/// Nothing is left of any patch.
pub(super) const CLEAN: &str = "[ -z \"$(ls /sys/kernel/livepatch)\" ] && ! grep livepatch_ /proc/modules | grep -v ^livepatch_kmod";

/// Tasks that ended and that nobody waits for: their stacks are freed.
const ZOMBIES: &str = "sh -c 'i=0; while [ $i -lt 40 ]; do sleep 2 & i=$((i + 1)); done; exec sleep 1000' & \
    until [ $(grep -l '^State:.Z' /proc/[0-9]*/status | wc -l) -ge 40 ]; do usleep 100000; done";

#[test]
fn a_patch_goes_in_and_out() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["version"])?;
        guest.file(&kernel.companion()?)?;
        guest
            .step("livepatch kernel check version.kpatch")
            .output("patch `version` fits the running kernel: `version_proc_show`");
        guest.step("cat /proc/version").never("patched");
        guest
            .step("livepatch kernel load version.kpatch")
            .output("is in force")
            .output("task by task");
        guest.step("cat /proc/version").output("patched version");
        guest
            .step("livepatch list")
            .output("kernel  version  active")
            .output("version_proc_show of vmlinux");
        guest
            .step("livepatch kernel list --json")
            .output(r#""state":"active","means":"transition""#);
        guest
            .step("livepatch kernel load version.kpatch")
            .status(4)
            .error("module `livepatch_version` is loaded already");
        guest
            .step("livepatch revert --kernel version")
            .output("is reverted");
        guest.step("cat /proc/version").never("patched");
        guest.step(CLEAN);
        guest
            .step("livepatch revert --kernel version")
            .status(1)
            .error("no patch `version` of the kernel is in force");
        // The same at once, by the companion.
        guest
            .step("livepatch kernel load --atomic version.kpatch")
            .status(1)
            .error("the companion module is not there");
        guest.step(CLEAN);
        guest.step("insmod livepatch_kmod.ko");
        guest.step(ZOMBIES);
        load_at_once(&mut guest);
        guest
            .step("livepatch kernel load --atomic version.kpatch")
            .status(4)
            .error("is loaded already");
        guest
            .step("livepatch kernel revert version")
            .output("is reverted");
        guest.step("cat /proc/version").never("patched");
        guest.step("rmmod livepatch_kmod");
        guest.step(CLEAN);
        guest.run("load").map(drop)
    })
}

/// Has the companion bring the patch of `/proc/version` into force.
pub(super) fn load_at_once(guest: &mut Guest) {
    guest
        .step("livepatch kernel load --atomic version.kpatch")
        .output("all at once");
    guest.step("cat /proc/version").output("patched version");
    guest
        .step("livepatch list")
        .output("kernel  version  active  switched all at once");
}
