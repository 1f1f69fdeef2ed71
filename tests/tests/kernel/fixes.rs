//! Security fixes of Debian, out of the difference between two releases of the kernel, for the older one: what each refuses is accepted
//! before, refused while it is in force, and accepted again after.

use super::load::CLEAN;
use super::programs::program;
use anyhow::{Context, Result};
use livepatch_tests::qemu::{Guest, Kernel};

const OLDER: &str = "6.1.0-54-amd64";
const NEWER: &str = "6.1.0-56-amd64";

/// A fix, and a request that it refuses.
struct Fix {
    /// Its number.
    number: &'static str,
    /// The file that it changes.
    file: &'static str,
    /// Text of the change that belongs to it; empty: all of the file's changes do.
    change: &'static str,
    /// Modules to load first.
    modules: &'static [&'static str],
    /// The request (`tests/kernel/programs/probe.c`).
    ask: &'static str,
    /// What is printed with the fix.
    refused: &'static str,
    /// What is printed without it.
    accepted: &'static str,
}

const FIXES: [Fix; 5] = [
    Fix {
        number: "CVE-2026-93146",
        file: "kernel/time/namespace.c",
        change: "",
        modules: &[],
        ask: "time",
        refused: "EINVAL",
        accepted: "accepted",
    },
    Fix {
        number: "CVE-2024-53187",
        file: "io_uring/rsrc.c",
        change: "check_add_overflow",
        modules: &[],
        ask: "ring",
        refused: "EOVERFLOW",
        accepted: "ENOMEM",
    },
    Fix {
        number: "CVE-2026-72379",
        file: "fs/namei.c",
        change: "fsuidgid_has_mapping",
        modules: &[],
        ask: "tmpfile",
        refused: "EOVERFLOW",
        accepted: "accepted",
    },
    Fix {
        number: "CVE-2026-97597",
        file: "net/ipv6/ip6_flowlabel.c",
        change: "fl_sock_at_lease_limit",
        modules: &[],
        ask: "flowlabel",
        refused: "ENOBUFS",
        accepted: "accepted",
    },
    Fix {
        number: "CVE-2026-74544",
        file: "net/sched/cls_u32.c",
        change: "offshift",
        modules: &["sch_ingress", "cls_u32"],
        ask: "u32",
        refused: "EINVAL",
        accepted: "accepted",
    },
];

impl Fix {
    /// Loads the fix and takes it back, with the request before, between and after.
    fn add(&self, guest: &mut Guest, option: &str) {
        let (number, ask) = (self.number, format!("probe {}", self.ask));
        guest.step(&ask).output(self.accepted);
        guest.step(&format!("livepatch kernel load {option} {number}.kpatch"));
        guest.step("livepatch kernel list").output("active");
        guest.step(&ask).output(self.refused).never(self.accepted);
        guest.step(&format!("livepatch revert --kernel {number}"));
        guest.step(&ask).output(self.accepted);
        guest.step(CLEAN);
    }
}

#[test]
#[ignore = "needs two more kernels with their sources: `scripts/test --full`"]
fn security_fixes_of_debian() -> Result<()> {
    let (older, newer) = (Kernel::unpacked(OLDER)?, Kernel::unpacked(NEWER)?);
    let mut guest = Guest::new(&older)?;
    guest.livepatch()?;
    guest.program(&program("probe")?)?;
    for fix in &FIXES {
        let patch = older.kpatch_of_change(fix.number, &newer, fix.file, fix.change);
        guest.file(&patch.context(fix.number)?)?;
        for module in fix.modules {
            guest.module(module)?;
        }
        fix.add(&mut guest, "");
    }
    guest.run("fixes").map(drop)
}
