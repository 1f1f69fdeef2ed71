//! Security fixes of Debian, out of the difference between two releases of the kernel, for the older one.

use super::load::CLEAN;
use anyhow::{Context, Result};
use livepatch_tests::qemu::{Guest, Kernel};

const OLDER: &str = "6.1.0-54-amd64";
const NEWER: &str = "6.1.0-56-amd64";

/// The number, the file that it changes, and the modules to load first.
const FIXES: [(&str, &str, &str); 6] = [
    ("CVE-2026-93146", "kernel/time/namespace.c", ""),
    ("CVE-2026-99203", "fs/pipe.c", ""),
    ("CVE-2026-99225", "security/keys/process_keys.c", ""),
    ("CVE-2026-80738", "net/core/filter.c", ""),
    ("CVE-2026-99121", "net/ipv4/fib_semantics.c", ""),
    ("CVE-2026-31677", "crypto/af_alg.c", "af_alg"),
];

/// A time namespace with an offset of -5 nanoseconds, written as the unsigned number that slips through.
const OFFSET: &str = "unshare -T sh -c 'echo monotonic 1 18446744073709551611 >/proc/self/timens_offsets && echo taken' 2>&1";

/// Takes 230 MB of downloads and a minute of unpacking: `scripts/kernels --source 6.1.0-54-amd64 6.1.0-56-amd64`, and then
/// `cargo nextest run -p livepatch-tests --run-ignored only`.
#[test]
#[ignore = "needs two more kernels with their sources"]
fn security_fixes_of_debian() -> Result<()> {
    let (older, newer) = (Kernel::unpacked(OLDER)?, Kernel::unpacked(NEWER)?);
    let mut guest = Guest::new(&older)?;
    guest.livepatch()?;
    guest.program("/usr/bin/unshare".as_ref())?;
    guest.step(OFFSET).output("taken");
    for (number, file, module) in FIXES {
        let patch = older
            .kpatch_of_change(number, &newer, file)
            .context(number)?;
        guest.file(&patch)?;
        if !module.is_empty() {
            guest.module(module)?;
        }
        guest.step(&format!("livepatch kernel load {number}.kpatch"));
        guest.step("livepatch kernel list").output("active");
        if number == "CVE-2026-93146" {
            guest
                .step(OFFSET)
                .status(1)
                .output("Invalid argument")
                .never("taken");
        }
        guest.step(&format!("livepatch revert --kernel {number}"));
        guest.step(CLEAN);
    }
    guest.step(OFFSET).output("taken");
    guest.run("fixes").map(drop)
}
