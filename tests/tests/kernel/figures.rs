//! Figures: how long loading and switching take, and what a redirected call costs. `scripts/bench kernel` prints them.

use super::companion::TOOLS;
use super::load::guest;
use super::on_each_kernel;
use super::programs::program;
use anyhow::{Context, Result};
use livepatch_tests::qemu::{Guest, Kernel, Outcome};

/// How often each thing is measured.
const RUNS: usize = 7;
/// As many tasks as the budget for a switch of all at once speaks of, at least.
const TASKS: &str = "while [ $(ls -d /proc/[0-9]* | wc -l) -lt 60 ]; do sleep 1000 & done; ls -d /proc/[0-9]* | wc -l";

/// `own` tells how long the kernel's own part of the last loading and transition took, by its log.
const OWN: &str = r#"
own() {
    dmesg | tr -d '[]' | awk '/livepatch: enabling patch/ { start = $1 } /: patching complete/ { end = $1 }
        END { printf "own %d\n", (end - start) * 1000000 }'
}
"#;

/// What is measured: what is said of it, and the steps before and after.
struct Figure {
    name: &'static str,
    before: &'static str,
    measure: &'static str,
    after: &'static str,
}

/// In microseconds, of the guest's clock.
const TIMES: [Figure; 6] = [
    Figure {
        name: "the kernel's own loading and transition (init_module until `transition` is 0)",
        before: "true",
        measure: "clock livepatch version.kpatch livepatch_version",
        after: "true",
    },
    Figure {
        name: "`livepatch kernel load`, the whole command",
        before: "true",
        measure: "clock run livepatch kernel load version.kpatch; own",
        after: "livepatch revert --kernel version",
    },
    Figure {
        name: "`livepatch kernel check`, the whole command",
        before: "true",
        measure: "clock run livepatch kernel check version.kpatch",
        after: "true",
    },
    Figure {
        name: "`livepatch --version`: the start of a process",
        before: "true",
        measure: "clock run livepatch --version",
        after: "true",
    },
    Figure {
        name: "`livepatch kernel load --atomic`, the whole command",
        before: "true",
        measure: "clock run livepatch kernel load --atomic version.kpatch",
        after: "livepatch revert --kernel version",
    },
    Figure {
        name: "the companion's switch alone (one command to the device)",
        before: "printf 'apply fix calls 2000\\nfunction %s 20 %s 8 version_proc_show\\nend\\n' \
                 $(address version_proc_show) $(address calls_new) >/tmp/apply",
        measure: "clock run dd if=/tmp/apply of=/dev/livepatch_kmod bs=64k",
        after: "revert fix",
    },
];

/// Which of [`TIMES`] is `livepatch kernel load`.
const LOAD: usize = 1;

/// A function called in a loop: how it is led elsewhere, and back.
const CALLS: [(&str, &str, &str, u32); 3] = [
    ("not redirected", "true", "true", 1),
    (
        "redirected by the companion",
        "module=calls apply fix calls_old 8 calls_new 8",
        "revert fix",
        2,
    ),
    (
        "redirected by the kernel's livepatch core",
        "insmod calls_klp.ko; while grep -q 1 /sys/kernel/livepatch/calls_klp/transition; do usleep 50000; done",
        "echo 0 >/sys/kernel/livepatch/calls_klp/enabled; while ! rmmod calls_klp 2>/dev/null; do usleep 100000; done",
        3,
    ),
];

#[test]
#[ignore = "prints figures: `scripts/bench kernel`"]
fn figures() -> Result<()> {
    on_each_kernel(|kernel| {
        println!("kernel {}, median of {RUNS}:", kernel.release);
        let times = kernel.kpatch_times("version", RUNS)?;
        let times = times.iter().map(|time| time.as_secs_f64() * 1000.0);
        println!(
            "{:8.0} ms  patchgen, from one pair of objects to the `.kpatch` (on the host)",
            median(times.collect())
        );
        let outcomes = prepared(kernel)?.run("figures")?;
        tell(&outcomes)
    })
}

/// The machine, with all measurements as steps.
fn prepared(kernel: &Kernel) -> Result<Guest> {
    let mut guest = guest(kernel, &["version"])?;
    guest.file(&kernel.companion()?)?;
    let calls = kernel.build_module("kernel/calls")?;
    guest.file(&calls)?;
    guest.file(&calls.with_file_name("calls_klp.ko"))?;
    guest.program(&program("clock")?)?;
    guest.prelude(TOOLS);
    guest.prelude(OWN);
    guest.step("insmod livepatch_kmod.ko && insmod calls.ko");
    guest.step(TASKS);
    for _ in 0..RUNS {
        for figure in &TIMES {
            guest.step(figure.before);
            guest.step(figure.measure).output("clock ");
            guest.step(figure.after);
        }
        for (_, lead, back, answer) in CALLS {
            guest.step(lead);
            guest
                .step("echo call $(cat /sys/module/calls/parameters/bench)")
                .output(&format!(" {answer}\n"));
            guest.step(back);
        }
    }
    Ok(guest)
}

/// Prints the medians of what the steps measured.
fn tell(outcomes: &[Outcome]) -> Result<()> {
    let numbers = |word: &'static str| -> Vec<f64> {
        let lines = outcomes.iter().flat_map(|outcome| outcome.stdout.lines());
        let found =
            lines.filter_map(|line| line.strip_prefix(word)?.split(' ').next()?.parse().ok());
        found.collect()
    };
    let tasks = outcomes.get(1).context("no tasks were counted")?;
    println!("  with {} tasks, in an emulator:", tasks.stdout.trim());
    let clocks = numbers("clock ");
    for (index, figure) in TIMES.iter().enumerate() {
        let all = clocks.iter().skip(index).step_by(TIMES.len());
        println!(
            "{:8.1} ms  {}",
            median(all.copied().collect()) / 1000.0,
            figure.name
        );
    }
    let own = numbers("own ");
    let whole = clocks.iter().skip(LOAD).step_by(TIMES.len());
    let beyond = whole.zip(own).map(|(whole, own)| (whole - own) / 1000.0);
    println!(
        "{:8.1} ms  of `livepatch kernel load` are beyond the kernel's own part of the same run, by its log",
        median(beyond.collect())
    );
    let told = |words: &str| -> Vec<f64> {
        let lines = outcomes.iter().flat_map(|outcome| outcome.stdout.lines());
        let lines = lines.filter(|line| line.contains("is in force"));
        let after =
            lines.filter_map(|line| line.split_once(words)?.1.split(' ').next()?.parse().ok());
        after.collect()
    };
    for words in ["switched task by task in ", "switched all at once in "] {
        let time = median(told(words));
        println!(
            "{time:8.1} ms  of `livepatch kernel load` is `{words}`: without what is checked first"
        );
    }
    let calls = numbers("call ");
    for (index, (name, ..)) in CALLS.iter().enumerate() {
        let all = calls.iter().skip(index).step_by(CALLS.len());
        println!(
            "{:8.1} ns  a call {name}",
            median(all.copied().collect()) / 1000.0
        );
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
