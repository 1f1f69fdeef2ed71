//! Kinds of code that the kernel treats as special, patched both ways.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use anyhow::Result;
use livepatch_tests::qemu::Guest;

/// A patch, and a question to which old and new code give different answers.
struct Kind {
    patch: &'static str,
    prepare: &'static str,
    ask: &'static str,
    old: &'static str,
    new: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        patch: "hidden",
        prepare: "touch /root/hidden",
        ask: "ls /root | wc -l",
        old: "1",
        new: "0",
    },
    Kind {
        patch: "oom",
        prepare: "true",
        ask: "echo 777 >/proc/self/oom_score_adj; sh -c 'echo 777 >/proc/$$/oom_score_adj; cat /proc/$$/oom_score_adj'",
        old: "777",
        new: "700",
    },
    Kind {
        patch: "stats",
        // The value of the static local variable is kept.
        prepare: "echo 1 >/proc/sys/kernel/bpf_stats_enabled",
        ask: "cat /proc/sys/kernel/bpf_stats_enabled",
        old: "1",
        new: "41",
    },
    Kind {
        patch: "pages",
        prepare: "true",
        ask: "dd if=/proc/kpagecount bs=7 count=1 2>&1 | grep -o 'Invalid argument\\|out of range'",
        old: "Invalid argument",
        new: "out of range",
    },
];

impl Kind {
    fn add(&self, guest: &mut Guest, option: &str) {
        let Self {
            patch,
            ask,
            old,
            new,
            ..
        } = self;
        let answer = |wanted: &str| format!("[ \"$({ask})\" = '{wanted}' ] || {{ {ask}; false; }}");
        guest.step(self.prepare);
        guest.step(&answer(old));
        guest.step(&format!("livepatch kernel load {option} {patch}.kpatch"));
        guest.step(&answer(new));
        guest.step(&format!("livepatch revert --kernel {patch}"));
        guest.step(&answer(old));
        guest.step(CLEAN);
    }
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn special_code_task_by_task() -> Result<()> {
    on_each_kernel(|kernel| {
        let patches: Vec<_> = KINDS.iter().map(|kind| kind.patch).collect();
        let mut guest = guest(kernel, &patches)?;
        for kind in &KINDS {
            kind.add(&mut guest, "");
        }
        guest.run("kinds").map(drop)
    })
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn special_code_all_at_once() -> Result<()> {
    on_each_kernel(|kernel| {
        let patches: Vec<_> = KINDS.iter().map(|kind| kind.patch).collect();
        let mut guest = guest(kernel, &patches)?;
        guest.file(&kernel.companion()?)?;
        guest.step("insmod livepatch_kmod.ko");
        for kind in &KINDS {
            kind.add(&mut guest, "--atomic");
        }
        guest.step("rmmod livepatch_kmod");
        guest.run("kinds-atomic").map(drop)
    })
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn modules_loaded_before_and_after() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["dummy"])?;
        guest.file(&kernel.companion()?)?;
        let mtu = |wanted: &str| {
            format!(
                "ip link add one type dummy && cat /sys/class/net/one/mtu; ip link del one; [ {wanted} ]"
            )
        };
        // Not loaded yet: patched when it comes.
        guest
            .step("livepatch kernel load dummy.kpatch")
            .output("dummy when it is loaded");
        guest.module("dummy")?;
        guest.step(&mtu("1")).output("1234");
        guest
            .step("livepatch kernel list")
            .output("dummy_setup of dummy");
        guest.step("livepatch revert --kernel dummy");
        guest.step(&mtu("1")).output("1500");
        // Loaded: proved, too.
        guest
            .step("livepatch kernel load dummy.kpatch")
            .output("`dummy_setup` of dummy");
        guest.step(&mtu("1")).output("1234");
        // It may go and come back meanwhile; 6.1 does not let it (it fills its references in twice).
        if !kernel.release.starts_with("6.1.") {
            guest.step("rmmod dummy");
            guest.module("dummy")?;
            guest.step(&mtu("1")).output("1234");
        }
        guest.step("livepatch revert --kernel dummy");
        guest.step("insmod livepatch_kmod.ko");
        guest
            .step("livepatch kernel load --atomic dummy.kpatch")
            .status(4)
            .error("cannot do what refers to the insides of modules, here dummy");
        guest.step(CLEAN);
        guest.run("modules").map(drop)
    })
}
