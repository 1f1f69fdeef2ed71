//! Patches signed by the distribution's own tool (`scripts/sign-file` of the headers), with a key that the kernel does not know.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use anyhow::Result;
use livepatch_tests::qemu::{Guest, Kernel};
use livepatch_tests::tools::run;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Signs a file in place with a key made for it.
fn sign(kernel: &Kernel, file: &Path, place: &Path) -> Result<()> {
    let (key, certificate) = (place.join("key.pem"), place.join("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ]);
    openssl
        .args(["-subj", "/CN=a key for tests", "-keyout"])
        .arg(&key);
    run(openssl.arg("-out").arg(&certificate))?.expect(0)?;
    let mut tool = Command::new(kernel.headers().join("scripts/sign-file"));
    run(tool.arg("sha256").args([&key, &certificate]).arg(file))?.expect(0)?;
    Ok(())
}

/// A machine with `signed.kpatch`.
fn with_signed(kernel: &Kernel) -> Result<Guest> {
    let mut guest = guest(kernel, &["version"])?;
    let place = tempfile::tempdir()?;
    let signed = place.path().join("signed.kpatch");
    fs::copy(kernel.kpatch("version", &[])?, &signed)?;
    sign(kernel, &signed, place.path())?;
    guest.file(&signed)?;
    guest.file(&kernel.companion()?)?;
    Ok(guest)
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn a_signed_patch_is_loaded_both_ways() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = with_signed(kernel)?;
        guest.step("insmod livepatch_kmod.ko");
        for option in ["", "--atomic"] {
            guest.step(&format!("livepatch kernel load {option} signed.kpatch"));
            guest.step("cat /proc/version").output("patched version");
            guest.step("livepatch revert --kernel version");
            guest.step("cat /proc/version").never("patched");
        }
        guest.step(CLEAN);
        // Where nobody may look into the kernel, nothing can be proved.
        guest.step("mount -t securityfs s /sys/kernel/security; echo confidentiality >/sys/kernel/security/lockdown");
        guest
            .step("livepatch kernel load signed.kpatch")
            .status(1)
            .error("/proc/kcore")
            .error("Operation not permitted");
        guest.step(CLEAN);
        guest.run("signed").map(drop)
    })
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn a_key_that_the_kernel_does_not_know_is_told() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = with_signed(kernel)?;
        guest.argument("module.sig_enforce=1");
        guest
            .step("livepatch kernel load version.kpatch")
            .status(4)
            .error(
                "it is not signed, and the kernel takes signed modules only (module.sig_enforce)",
            );
        guest
            .step("livepatch kernel load signed.kpatch")
            .status(4)
            .error("Key was rejected by service (its log: Loading of module with unavailable key is rejected)")
            .error("help: sign it with a key that the kernel trusts, or have the kernel trust the key");
        guest
            .step("livepatch kernel load --atomic signed.kpatch")
            .status(4)
            .error("needs a kernel that takes unsigned modules");
        guest.step(CLEAN);
        guest.run("signed-unknown").map(drop)
    })
}
