//! systemd of this host as the first process of a guest.
//!
//! Its targets are there, and no unit but those of the test and one that runs the steps, after all else that is started.

use super::{Guest, INIT};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const SYSTEMD: &str = "/lib/systemd/systemd";
const UNITS: &str = "/lib/systemd/system";
/// Runs the steps, and turns the machine off.
const STEPS: &[u8] = b"[Unit]
Description=The steps of the test
After=basic.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/steps.sh
";
const WANTED: &[u8] = b"[Unit]\nWants=steps.service\n";

impl Guest {
    /// Has systemd start what is to be started, and only then run the steps; `before` is a script that runs before systemd, in `/t`.
    ///
    /// # Errors
    /// When systemd is not there.
    pub fn systemd(&mut self, before: &str) -> Result<()> {
        let entries = fs::read_dir(UNITS).with_context(|| {
            format!("`{UNITS}` is missing: run `scripts/bootstrap kernel` first")
        })?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == "target") && path.is_file() {
                let to = path.to_string_lossy().into_owned();
                self.place(&path, to.trim_start_matches('/'))?;
            }
        }
        for program in [SYSTEMD, "/bin/systemctl"] {
            self.program(Path::new(program))?;
        }
        self.bytes("etc/systemd/system/steps.service", STEPS);
        self.bytes("etc/systemd/system/multi-user.target.d/steps.conf", WANTED);
        self.bytes("steps.sh", INIT);
        let init = format!(
            "#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin HOME=/root\n\
             mount -t proc proc /proc\nmount -t sysfs sysfs /sys\nmount -t devtmpfs devtmpfs /dev\n\
             cd /t && {before} && cd / && exec /bin/systemd\n"
        );
        // Takes the place of the one that runs the steps by itself.
        self.bytes("init", init.as_bytes());
        self.argument("systemd.unit=multi-user.target systemd.show_status=0");
        Ok(())
    }
}
