//! The companion module by itself, with commands written by hand.

use super::on_each_kernel;
use anyhow::Result;
use livepatch_tests::qemu::{Guest, Kernel};

/// Shell functions: `address SYMBOL`, and `command` that writes its input to the device and prints the report.
pub(super) const TOOLS: &str = r#"
address() { awk -v name="$1" '$3 == name { print $1; exit }' /proc/kallsyms; }
command() {
    cat >/tmp/command
    exec 3<>/dev/livepatch_kmod
    cat /tmp/command >&3 || echo failed
    cat <&3
    exec 3>&-
}
# apply NAME OLD SIZE NEW SIZE [DEADLINE]
apply() {
    printf 'apply %s %s %s\nfunction %s %s %s %s %s\nend\n' \
        "$1" "${module:-handmade}" "${6:-2000}" "$(address "$2")" "$3" "$(address "$4")" "$5" "$2" | command
}
revert() { printf 'revert %s %s\nend\n' "$1" "${2:-2000}" | command; }
patches() { cat /sys/kernel/livepatch_kmod/patches; }
"#;

/// A machine with the companion and new code in it.
fn guest(kernel: &Kernel) -> Result<Guest> {
    let mut guest = Guest::new(kernel)?;
    guest.file(&kernel.companion()?)?;
    guest.file(&kernel.build_module("kernel/handmade")?)?;
    guest.prelude(TOOLS);
    guest.step("insmod livepatch_kmod.ko");
    guest.step("insmod handmade.ko");
    Ok(guest)
}

#[test]
fn the_companion_switches_functions() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel)?;
        guest.step("cat /proc/version").output("Linux version");
        guest
            .step("apply fix version_proc_show 20 handmade_quick 10")
            .output("done functions=1");
        guest.step("cat /proc/version").output("patched");
        guest.step("patches").output("patch fix handmade enabled");
        guest.step("patches").output("ftrace version_proc_show");
        // Everything is pinned while it is in use.
        guest.step("rmmod handmade").status(1);
        guest.step("rmmod livepatch_kmod").status(1);
        // Turning tracing off must not turn the fix off.
        guest
            .step("echo 0 >/proc/sys/kernel/ftrace_enabled")
            .any_status();
        guest.step("cat /proc/version").output("patched");
        guest
            .step("apply other version_proc_show 20 handmade_quick 10")
            .output("error taken: ");
        guest
            .step("apply fix cmdline_proc_show 20 handmade_quick 10")
            .output("error exists: ");
        guest.step("revert fix").output("done functions=1");
        guest
            .step("cat /proc/version")
            .output("Linux version")
            .never("patched");
        guest.step("revert fix").output("error nopatch: ");
        guest.step("patches").never("patch");
        guest.step("rmmod handmade && rmmod livepatch_kmod && [ ! -e /sys/kernel/livepatch_kmod ]");
        guest.run("companion").map(drop)
    })
}

#[test]
fn a_kprobe_reaches_what_ftrace_does_not() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = Guest::new(kernel)?;
        guest.file(&kernel.companion()?)?;
        guest.file(&kernel.build_module("kernel/calls")?)?;
        guest.prelude(TOOLS);
        guest.prelude("module=calls; called() { cat /sys/module/calls/parameters/untraced; }\n");
        guest.step("insmod livepatch_kmod.ko && insmod calls.ko");
        guest.step("[ $(called) = 1 ]");
        guest
            .step("apply fix calls_untraced 8 calls_new 8")
            .output("done functions=1");
        guest.step("patches").output("kprobe calls_untraced");
        guest.step("[ $(called) = 2 ]");
        // An optimised probe would not look where it is led.
        guest.step("sleep 1; [ $(called) = 2 ]");
        guest
            .step("apply other calls_untraced 8 calls_old 8")
            .output("error taken: ");
        guest.step("revert fix").output("done functions=1");
        guest.step("[ $(called) = 1 ]");
        guest.step("rmmod calls && rmmod livepatch_kmod");
        guest.run("companion-kprobe").map(drop)
    })
}

#[test]
fn the_companion_waits_for_tasks_or_names_them() -> Result<()> {
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel)?;
        guest
            .step("apply fix version_proc_show 20 handmade_slow 40")
            .output("done functions=1");
        // A reader sleeps in new code for three seconds: named at the deadline, waited for when there is time.
        guest
            .step("cat /proc/version >/tmp/read & usleep 500000; revert fix 100; wait")
            .output("busy pid=");
        guest.step("cat /tmp/read").output("patched slowly");
        guest.step("cat /proc/version >/tmp/read & usleep 500000; revert fix 20000; wait; cat /tmp/read")
            .output("done functions=1")
            .output("patched slowly");
        guest.step("cat /proc/version").output("Linux version");
        // The same for old code: `pause` is where this sleeper is, and stays.
        guest.step(
            "sleep 1000 & usleep 300000; apply nap do_nanosleep 200 handmade_quick 10 100; kill $!",
        )
        .output("busy pid=")
        .output("comm=\"sleep\"");
        guest.step("patches").never("patch");
        // A bad command, a wrong address, code outside the module.
        guest.step("echo hello | command").output("error command: ");
        guest.step("printf 'apply x handmade 1\\nfunction %s 10 %s 10 f\\nend\\n' ffffffff81000001 $(address handmade_quick) | command")
            .output("error noentry: ");
        guest.step("printf 'apply x handmade 1\\nfunction %s 10 %s 10 f\\nend\\n' $(address version_proc_show) ffffffff81000000 | command")
            .output("error outside: ");
        guest.step("patches").never("patch");
        guest.run("companion-waits").map(drop)
    })
}
