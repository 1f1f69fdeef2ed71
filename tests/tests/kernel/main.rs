//! Patches of running kernels, in virtual machines: each test boots the newest stock kernel of each series.

mod bad_input;
mod booted;
mod busy;
mod companion;
mod figures;
mod fixes;
mod hooks;
mod kinds;
mod load;
mod no_livepatch;
mod parts;
mod programs;
mod replace;
mod signed;
mod stress;
mod watched;

use anyhow::{Context, Result};
use livepatch_tests::qemu::{Guest, Kernel, SERIES};

/// Does the same on the newest stock kernel of each series, or of those in `LIVEPATCH_KERNELS`.
fn on_each_kernel(check: impl Fn(&Kernel) -> Result<()>) -> Result<()> {
    let wanted = std::env::var("LIVEPATCH_KERNELS").unwrap_or_else(|_| SERIES.join(" "));
    for series in wanted.split_whitespace() {
        let kernel = Kernel::unpacked(series)?;
        check(&kernel).with_context(|| format!("on {}", kernel.release))?;
    }
    Ok(())
}

#[test]
fn stock_kernels_boot() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = Guest::new(kernel)?;
        guest.livepatch()?;
        guest.module("dummy")?;
        guest.step("uname -r").output(&kernel.release);
        guest.step("echo no >&2; exit 7").status(7).error("no");
        guest.step("livepatch list").output("");
        guest.step("grep -w dummy /proc/modules").output("dummy");
        guest.run("boot").map(drop)
    })
}
