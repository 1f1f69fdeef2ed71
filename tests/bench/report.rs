//! The Markdown table.

use crate::measure::Run;
use std::fmt::Write;

/// Everything measured, as `docs/bench.md`.
pub(crate) fn markdown(machine: &str, cycles: usize, runs: &[Run], many: &Run) -> String {
    let mut text = format!(
        "# Figures\n\n\
         Made by `scripts/bench` on {machine}; {cycles} cycles of floor, apply and revert in turn.\n\
         All figures are min / median / max. The *floor* is stopping all threads with ptrace and\n\
         letting go, doing nothing in between; ratios are to its median in the same run.\n\n"
    );
    text.push_str("## Pause, as a spinning thread of the process sees it\n\n");
    pauses(&mut text, runs, many);
    text.push_str("\n## Everything else\n\n");
    others(&mut text, runs, many);
    text
}

fn pauses(text: &mut String, runs: &[Run], many: &Run) {
    text.push_str(
        "| threads | functions | idle, µs | floor, µs | apply, µs | apply / floor | revert, µs | revert / floor |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for run in runs.iter().chain([many]) {
        let floor = run.floor.median();
        row(
            text,
            &[
                &run.threads,
                &run.functions,
                &run.idle,
                &run.floor,
                &run.apply,
                &run.apply.per(floor),
                &run.revert,
                &run.revert.per(floor),
            ],
        );
    }
}

fn others(text: &mut String, runs: &[Run], many: &Run) {
    text.push_str(
        "| threads | functions | `apply`, ms | `revert`, ms | EINTR seen: floor | EINTR seen: us | call, ns: old | call, ns: patched | difference of medians, ns | memory added, KiB | left after revert, KiB |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for run in runs.iter().chain([many]) {
        let difference = run.new_cost.median() - run.old_cost.median();
        row(
            text,
            &[
                &run.threads,
                &run.functions,
                &run.apply_wall,
                &run.revert_wall,
                &run.floor_interrupted,
                &run.interrupted,
                &run.old_cost,
                &run.new_cost,
                &format!("{difference:.2}"),
                &(run.added / 1024),
                &(run.left / 1024),
            ],
        );
    }
}

fn row(text: &mut String, cells: &[&dyn std::fmt::Display]) {
    for cell in cells {
        write!(text, "| {cell} ").expect("writing to a string does not fail");
    }
    text.push_str("|\n");
}
