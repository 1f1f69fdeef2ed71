//! Patches that must not be loaded: one clear message each, and nothing left.

use super::load::CLEAN;
use super::on_each_kernel;
use anyhow::{Context, Result, ensure};
use livepatch_tests::qemu::{Guest, Kernel};
use std::fs;

/// A file with a part replaced by another of the same length, so that all else of it stays as it was.
fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "the file must keep its shape");
    let at = file.windows(from.len()).position(|window| window == from);
    let at = at.with_context(|| format!("no `{}`", String::from_utf8_lossy(from)))?;
    let mut file = file.to_vec();
    file[at..at + to.len()].copy_from_slice(to);
    Ok(file)
}

/// The same with the hexadecimal digit `offset` bytes behind `after` changed.
fn other_digit(file: &[u8], after: &[u8], offset: usize) -> Result<Vec<u8>> {
    let at = file.windows(after.len()).position(|window| window == after);
    let at = at.context("no such field")? + after.len() + offset;
    let mut file = file.to_vec();
    file[at] = if file[at] == b'0' { b'1' } else { b'0' };
    Ok(file)
}

/// A file that must be refused: its name, its contents, the exit status, and what the message says.
type Bad = (&'static str, Vec<u8>, i32, &'static str);

/// Files that the manifest or the kernel must refuse.
fn bad_files(kernel: &Kernel, good: &[u8]) -> Result<Vec<Bad>> {
    let release = format!("\"release\": \"{}\"", kernel.release);
    let other = release.replace("\"6.", "\"5.");
    // An entry of `__versions` is a CRC of 8 bytes before the name.
    let versioned = good
        .windows(11)
        .position(|window| window == b"seq_printf\0")
        .context("no CRC")?;
    let mut crc = good.to_vec();
    crc[versioned - 8] ^= 1;
    let field = |name: &str| format!("\"{name}\": \"").into_bytes();
    Ok(vec![
        (
            "release",
            replaced(good, release.as_bytes(), other.as_bytes())?,
            4,
            "it is for release `5",
        ),
        (
            "build-id",
            other_digit(good, &field("build_id"), 4)?,
            4,
            "with build ID",
        ),
        (
            "code",
            replaced(good, b"31c0", b"31c9")?,
            4,
            "is not the code that the patch was made from",
        ),
        (
            "crc",
            crc,
            1,
            "disagrees about version of symbol seq_printf",
        ),
        (
            "fixup",
            replaced(good, b"\"offset\": 1", b"\"offset\": 9")?,
            1,
            "out of",
        ),
        (
            "symbol",
            replaced(
                good,
                b"\"name\": \"version_proc_show\"",
                b"\"name\": \"version_proc_shoe\"",
            )?,
            4,
            "has no function `version_proc_shoe`",
        ),
        (
            "new",
            replaced(
                good,
                b"\"new\": \"version_proc_show\"",
                b"\"new\": \"version_proc_shoe\"",
            )?,
            4,
            "the patch has no function `version_proc_shoe`",
        ),
        (
            "schema",
            replaced(good, b"\"schema\": 1", b"\"schema\": 7")?,
            1,
            "schema",
        ),
        (
            "kind",
            replaced(good, b"\"kind\": \"kernel\"", b"\"kind\": \"kernez\"")?,
            1,
            "process",
        ),
        (
            "json",
            replaced(good, b"\"objects\": [", b"\"objects\": {")?,
            1,
            "manifest",
        ),
        ("empty", Vec::new(), 1, "ELF"),
        ("text", b"hello".to_vec(), 1, "ELF"),
    ])
}

#[test]
fn bad_patches_are_refused_and_leave_nothing() -> Result<()> {
    on_each_kernel(|kernel| {
        let good = kernel.kpatch("version", &[])?;
        let good = fs::read(good)?;
        let mut guest = Guest::new(kernel)?;
        guest.livepatch()?;
        for (name, bytes, status, message) in bad_files(kernel, &good)? {
            guest.bytes(&format!("t/{name}"), &bytes);
            guest
                .step(&format!("livepatch kernel load {name}"))
                .status(status)
                .error(message);
        }
        guest
            .step("livepatch kernel load /nowhere")
            .status(1)
            .error("No such file");
        guest
            .step("livepatch kernel load /bin")
            .status(1)
            .error("/bin");
        guest.step("livepatch kernel load /bin/busybox").status(1);
        guest.step("livepatch kernel load").status(2);
        // Cut anywhere.
        guest.bytes("t/good.kpatch", &good);
        guest.step(
            "for part in 1 64 200 1000 2000 4000 5000 6000 7000; do \
               head -c $part good.kpatch >cut; \
               livepatch kernel load cut 2>/tmp/said; [ $? = 1 ] && [ -s /tmp/said ] || { echo $part; exit 1; }; \
             done",
        );
        // Not root. The file must be readable for others.
        guest
            .step("echo nobody:x:65534:65534::/:/bin/sh >/etc/passwd; su nobody -c \"livepatch kernel load /t/good.kpatch\"")
            .status(1)
            .error("needs root");
        // Signatures, by lockdown.
        guest.step("mount -t securityfs s /sys/kernel/security; echo integrity >/sys/kernel/security/lockdown");
        guest
            .step("livepatch kernel load good.kpatch")
            .status(4)
            .error("it is not signed, and the kernel takes signed modules only (lockdown is `integrity`)")
            .error("help: sign it");
        guest.step("(cat good.kpatch; printf '%0100d'; printf '\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\144~Module signature appended~\\n') >forged");
        guest.step("livepatch kernel load forged").status(4);
        guest.step("cat /proc/version").never("patched");
        guest.step(CLEAN);
        guest.run("bad-input").map(drop)
    })
}

#[test]
fn signatures_are_asked_for_by_a_parameter() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = super::load::guest(kernel, &["version"])?;
        guest.argument("module.sig_enforce=1");
        guest
            .step("livepatch kernel check version.kpatch")
            .status(4)
            .error("module.sig_enforce");
        guest
            .step("livepatch kernel check --json version.kpatch")
            .status(4)
            .output("\"status\":4");
        guest.step(CLEAN);
        // What is kept for this kernel is loaded at boot by what the unit runs; nothing is kept for another.
        guest
            .step("livepatch kernel install version.kpatch")
            .output("installed");
        guest.step("ls /etc/livepatch/kernel/$(uname -r)/livepatch_version.kpatch /etc/systemd/system/livepatch-kernel.service");
        guest.step("livepatch kernel load --installed").status(4);
        guest
            .step("livepatch kernel uninstall version")
            .output("removed");
        guest.step("livepatch kernel load --installed && [ ! -e /etc/systemd/system/livepatch-kernel.service ]");
        guest.run("signatures").map(drop)
    })
}
