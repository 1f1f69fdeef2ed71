//! Patches that take the place of others, and those that are kept for the next boot.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use anyhow::Result;

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn a_patch_takes_the_place_of_all_others_and_is_kept() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["slow", "oom"])?;
        guest.file(&kernel.kpatch_as("whole", "version", &["--replace"])?)?;
        guest.step("livepatch kernel load slow.kpatch && livepatch kernel load oom.kpatch");
        guest.step("cat /proc/version").output("slow version");
        guest
            .step("livepatch kernel load whole.kpatch")
            .output("it took the place of livepatch_oom, livepatch_slow");
        guest
            .step("cat /proc/version")
            .output("patched version")
            .never("slow");
        guest
            .step("livepatch kernel list")
            .output("whole  active")
            .never("oom")
            .never("slow");
        guest.step("[ $(grep -c ^livepatch_ /proc/modules) = 1 ]");
        // Of those that were replaced nothing comes back.
        guest.step("livepatch revert --kernel whole");
        guest.step("cat /proc/version").never("slow");
        guest.step(CLEAN);
        // What the unit runs when the machine boots.
        guest.step("livepatch kernel install oom.kpatch && livepatch kernel install slow.kpatch");
        guest
            .step("livepatch kernel load --installed")
            .output("patch `oom` is in force")
            .output("patch `slow` is in force");
        guest.step("cat /proc/version").output("slow version");
        // Once more does no harm, and says why nothing comes of it.
        guest
            .step("livepatch kernel load --installed")
            .status(4)
            .error("`livepatch_oom` is loaded already");
        guest.step("livepatch kernel uninstall oom");
        guest.step("ls /etc/systemd/system/livepatch-kernel.service");
        guest.step("livepatch kernel uninstall slow");
        guest.step("[ ! -e /etc/systemd/system/livepatch-kernel.service ]");
        guest.step("livepatch revert --kernel slow && livepatch revert --kernel oom");
        guest.step(CLEAN);
        guest.run("replace").map(drop)
    })
}
