//! `livepatch-bench`: how long a patched process stands still, as it sees it itself.
//!
//! Floor (stop all threads, let go), apply and revert are measured in turn within one run, so that
//! their ratios mean something on any machine. Writes a Markdown table and an SVG plot.

mod build;
mod machine;
mod measure;
mod memory;
mod plot;
mod probe;
mod report;
mod series;

use anyhow::Result;
use clap::Parser;
use std::fs;
use std::path::PathBuf;

/// Measures the pause, the cost of a call, and the memory of a live patch; see `docs/bench.md`.
///
/// Example: `livepatch-bench --cycles 15 --output docs`
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of floor, apply and revert for each number of threads.
    #[arg(long, default_value_t = 15)]
    cycles: usize,
    /// Numbers of threads.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 8, 64, 256, 1000])]
    threads: Vec<usize>,
    /// Directory that gets `bench.md` and `pause.svg`.
    #[arg(long, default_value = "docs")]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let tools = build::Bench::build()?;
    let mut runs = Vec::new();
    for &threads in &arguments.threads {
        eprintln!("{threads} threads, {} cycles", arguments.cycles);
        runs.push(measure::run(&tools.one, &tools, threads, arguments.cycles)?);
    }
    eprintln!("1,000 functions, {} cycles", arguments.cycles);
    let many = measure::run(&tools.many, &tools, 64, arguments.cycles)?;
    let text = report::markdown(&machine::describe()?, arguments.cycles, &runs, &many);
    fs::create_dir_all(&arguments.output)?;
    fs::write(arguments.output.join("bench.md"), &text)?;
    fs::write(arguments.output.join("pause.svg"), plot::svg(&runs))?;
    print!("{text}");
    Ok(())
}
