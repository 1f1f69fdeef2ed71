//! Tasks asleep in code that changes, and others who have a hand in the same function.

use super::load::{CLEAN, guest};
use super::on_each_kernel;
use anyhow::Result;

/// `hold` leaves a reader asleep in the slow function, `release` lets it go and waits for it.
const READER: &str = r#"
hold() { echo 77 >/proc/sys/kernel/panic; cat /proc/version >/tmp/slow & usleep 300000; }
release() { echo 0 >/proc/sys/kernel/panic; wait; }
only() { [ "$(ls /sys/kernel/livepatch)" = "$1" ]; }
"#;

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn a_task_that_stays_is_named_and_the_switch_taken_back() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["slow", "version"])?;
        guest.prelude(READER);
        guest.step("livepatch kernel load slow.kpatch");
        guest
            .step("hold; livepatch kernel revert slow --timeout 3s")
            .status(3)
            .error("(cat) did not go over to the other code within 3 s; nothing changed")
            .error("version_proc_show")
            .error("help: ");
        guest.step("livepatch kernel list").output("slow  active");
        // A patch on top of it replaces the code that the reader is in.
        guest
            .step("livepatch kernel load version.kpatch --timeout 3s")
            .status(3)
            .error("(cat) did not go over to the other code within 3 s; nothing changed");
        guest.step("only livepatch_slow && ! grep livepatch_version /proc/modules");
        guest
            .step("(sleep 4; release) & livepatch kernel load version.kpatch --wait --timeout 1s")
            .output("is in force");
        guest
            .step("cat /proc/version")
            .output("patched version")
            .never("slow");
        guest
            .step("livepatch kernel list")
            .output("slow  active")
            .output("version  active");
        // The lower one goes first.
        guest.step("livepatch revert --kernel slow && only livepatch_version");
        guest.step("cat /proc/version").output("patched version");
        guest.step("livepatch revert --kernel version");
        guest.step(CLEAN);
        // Forced, it is out of force, and can never be unloaded.
        guest.step("livepatch kernel load slow.kpatch");
        guest
            .step("hold; livepatch kernel revert slow --timeout 1s --force")
            .output("forced: its module stays loaded");
        guest.step("release; cat /proc/version").never("slow");
        guest.run("busy").map(drop)
    })
}

#[test]
fn a_task_that_stays_is_named_by_the_companion() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["slow", "version"])?;
        guest.file(&kernel.companion()?)?;
        guest.prelude(READER);
        guest.step("insmod livepatch_kmod.ko");
        guest.step("livepatch kernel load --atomic slow.kpatch");
        guest
            .step("hold; livepatch kernel revert slow --timeout 300ms")
            .status(3)
            .error("comm=\"cat\"");
        guest.step("livepatch kernel list").output("slow  active");
        guest.step("(sleep 4; release) & livepatch revert --kernel slow");
        guest.step("cat /proc/version").never("slow");
        guest.step(CLEAN);
        // What the kernel's livepatch code redirects is not ours, and the other way round.
        guest.step("livepatch kernel load version.kpatch");
        guest
            .step("livepatch kernel load --atomic slow.kpatch")
            .status(4)
            .error("somebody else redirects `version_proc_show`");
        guest.step(
            "livepatch revert --kernel version && livepatch kernel load --atomic version.kpatch",
        );
        guest
            .step("livepatch kernel load slow.kpatch")
            .status(3)
            .error("Device or resource busy");
        guest
            .step("livepatch list")
            .output("version  active  switched all at once")
            .never("slow");
        guest.step("livepatch revert --kernel version && rmmod livepatch_kmod");
        guest.step(CLEAN);
        guest.run("busy-atomic").map(drop)
    })
}

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn tracers_of_the_same_function_stay() -> Result<()> {
    const TRACE: &str = r#"
cd /sys/kernel/tracing
echo version_proc_show >set_ftrace_filter
echo function >current_tracer
echo 'p:probe version_proc_show' >kprobe_events
echo 1 >events/kprobes/probe/enable
cd /t
traced() {
    : >/sys/kernel/tracing/trace
    cat /proc/version
    grep 'version_proc_show <-' /sys/kernel/tracing/trace && grep 'probe: ' /sys/kernel/tracing/trace
}
"#;
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &["version"])?;
        guest.file(&kernel.companion()?)?;
        guest.step(&format!("{TRACE} traced")).never("patched");
        let again = "traced() { : >/sys/kernel/tracing/trace; cat /proc/version; \
                     grep 'version_proc_show <-' /sys/kernel/tracing/trace && grep 'probe: ' /sys/kernel/tracing/trace; }";
        guest.step("insmod livepatch_kmod.ko");
        for option in ["", "--atomic"] {
            guest.step(&format!("livepatch kernel load {option} version.kpatch"));
            guest
                .step(&format!("{again}; traced"))
                .output("patched version");
            guest.step("livepatch revert --kernel version");
            guest.step(&format!("{again}; traced")).never("patched");
        }
        guest.run("tracers").map(drop)
    })
}
