//! One patch for the kernel and a module, which comes later.

use super::load::CLEAN;
use super::on_each_kernel;
use anyhow::{Context, Result};
use livepatch_tests::qemu::{Guest, Kernel};
use livepatch_tests::tools::{patchgen, tests_directory};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes `both.kpatch` of the patches of `/proc/version` and of dummy network devices, as `kernel-objects` says.
fn both(kernel: &Kernel, place: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for name in ["version", "dummy"] {
        let patch = tests_directory().join(format!("kernel/patches/{name}.patch"));
        text += &fs::read_to_string(patch)?;
    }
    let patch = place.join("both.patch");
    fs::write(&patch, text)?;
    let made = kernel
        .kernel_objects(&patch, &place.join("objects"))?
        .expect(0)?;
    let command = made.stdout.trim().strip_prefix("patchgen ");
    let command = command.context("kernel-objects says how to go on")?;
    let (command, _) = command.rsplit_once(" -o ").context("with an output")?;
    let output = place.join("both.kpatch");
    let root = kernel.root().display().to_string();
    let file = output.display().to_string();
    let arguments = command.split(' ').chain(["--root", &root, "-o", &file]);
    patchgen(arguments)?.expect(0)?;
    Ok(output)
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn one_patch_is_for_the_kernel_and_a_module() -> Result<()> {
    on_each_kernel(|kernel| {
        let place = tempfile::tempdir()?;
        let mut guest = Guest::new(kernel)?;
        guest.livepatch()?;
        guest.file(&both(kernel, place.path())?)?;
        let mtu = |wanted: &str| {
            format!(
                "ip link add one type dummy && cat /sys/class/net/one/mtu; ip link del one; [ {wanted} ]"
            )
        };
        guest
            .step("livepatch kernel load both.kpatch")
            .output("dummy when it is loaded");
        guest.step("cat /proc/version").output("patched version");
        guest.module("dummy")?;
        guest.step(&mtu("1")).output("1234");
        guest
            .step("livepatch kernel list")
            .output("version_proc_show of vmlinux")
            .output("dummy_setup of dummy");
        guest.step("livepatch revert --kernel both");
        guest.step("cat /proc/version").never("patched");
        guest.step(&mtu("1")).output("1500");
        // Both at once.
        guest
            .step("livepatch kernel check both.kpatch")
            .output("version_proc_show")
            .output("dummy_setup");
        guest.step("livepatch kernel load both.kpatch");
        guest.step(&mtu("1")).output("1234");
        guest.step("livepatch revert --kernel both");
        guest.step(CLEAN);
        guest.run("parts").map(drop)
    })
}
