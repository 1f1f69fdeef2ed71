//! `livepatch-curve`: how long `patchgen` takes and how much memory, by the size of its input.
//!
//! Objects of 100 to 100,000 functions are assembled, one function in a hundred changed; and a directory of many pairs. These
//! functions are tiny, so code as compilers make it is measured, too.

mod archives;
mod input;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use input::{Input, total_size};
use livepatch_tests::tools::{run, target_directory, tool};
use nix::sys::resource::{UsageWho, getrusage};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Measures `patchgen`.
///
/// Example: `livepatch-curve --functions 100,1000`
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers of functions of an object.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000])]
    functions: Vec<usize>,
    /// Pairs of the directory, with 20 functions each.
    #[arg(long, default_value_t = 1_000)]
    pairs: usize,
    /// Runs of each, of which the fastest counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only make the objects, or only measure. (Measuring takes a process that has had no other children.)
    #[arg(long, hide = true)]
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    Assemble,
    Measure,
    Archives,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let top = target_directory().join("built/curve");
    let inputs = inputs(&arguments, &top);
    match arguments.only {
        Some(Only::Assemble) => {
            inputs.iter().try_for_each(Input::assemble)?;
            let archives = archives::inputs(&top);
            archives
                .iter()
                .try_for_each(|(name, input)| archives::link(name, input))
        }
        Some(Only::Measure) => measure_all(&arguments, &inputs),
        Some(Only::Archives) => measure_archives(&arguments, &top),
        None => ["assemble", "measure", "archives"]
            .iter()
            .try_for_each(|part| {
                let mut own = Command::new(std::env::current_exe()?);
                own.args(std::env::args_os().skip(1)).args(["--only", part]);
                ensure!(own.status()?.success(), "cannot {part} the objects");
                Ok(())
            }),
    }
}

fn measure_all(arguments: &Arguments, inputs: &[Input]) -> Result<()> {
    println!(
        "| functions | sections | input, KiB | time, ms | µs a function | memory, KiB | memory / input |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|");
    let floor = memory_of_nothing()?;
    let mut single = Vec::new();
    for input in inputs {
        measure(input, arguments.runs, floor)?;
        if input.pairs > 1 {
            single.push(time(input, arguments.runs, Some(1), WRITTEN)?);
            single.push(time(input, arguments.runs, None, WRITTEN)?);
        }
    }
    if let [one, all] = single[..] {
        let ratio = one.as_secs_f64() / all.as_secs_f64();
        println!(
            "\n{} pairs: {ratio:.2} x as fast with all processors as with one",
            arguments.pairs
        );
    }
    Ok(())
}

/// An archive's members as one object, compared with itself.
fn measure_archives(arguments: &Arguments, top: &Path) -> Result<()> {
    println!("\n| object | input, KiB | time, ms | memory, KiB | memory / input |");
    println!("|---|--:|--:|--:|--:|");
    let floor = memory_of_nothing()?;
    for (name, input) in archives::inputs(top) {
        let time = time(&input, arguments.runs, None, UNCHANGED)?;
        let (memory, ratio) = memory(&input, floor)?;
        let size = size(&input)? / 1024;
        println!(
            "| {name} | {size} | {:.1} | {memory} | {ratio} |",
            time.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// `patchgen` wrote a bundle, or had nothing to write.
const WRITTEN: i32 = 0;
const UNCHANGED: i32 = 3;

/// The bytes of both versions.
fn size(input: &Input) -> Result<u64> {
    Ok(total_size(&input.directory.join("old"))? + total_size(&input.directory.join("new"))?)
}

/// The memory of the largest child so far, and how many times the input it is without `floor`.
fn memory(input: &Input, floor: u64) -> Result<(String, String)> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let memory = usage.max_rss().unsigned_abs();
    let own = memory.saturating_sub(floor) as f64 * 1024.0;
    let ratio = own / size(input)? as f64;
    Ok((memory.to_string(), format!("{ratio:.1}")))
}

/// Ascending, since the memory of the largest child so far is what the system tells.
fn inputs(arguments: &Arguments, top: &Path) -> Vec<Input> {
    let mut inputs = Vec::new();
    for &functions in &arguments.functions {
        for sections in [false, true] {
            inputs.push(Input {
                directory: top.join(format!("{functions}-{sections}")),
                pairs: 1,
                functions,
                sections,
            });
        }
    }
    inputs.push(Input {
        directory: top.join("pairs"),
        pairs: arguments.pairs,
        functions: 20,
        sections: true,
    });
    inputs
}

fn measure(input: &Input, runs: usize, floor: u64) -> Result<()> {
    let time = time(input, runs, None, WRITTEN)?;
    let functions = input.functions * input.pairs;
    let size = size(input)?;
    let sections = if input.sections {
        "each its own"
    } else {
        "one"
    };
    let name = if input.pairs > 1 {
        format!("{} x {}", input.pairs, input.functions)
    } else {
        functions.to_string()
    };
    // A directory of small pairs comes after larger single ones: its memory is not known.
    let (memory, ratio) = if input.pairs > 1 {
        (String::new(), String::new())
    } else {
        memory(input, floor)?
    };
    println!(
        "| {name} | {sections} | {} | {:.1} | {:.2} | {memory} | {ratio} |",
        size / 1024,
        time.as_secs_f64() * 1e3,
        time.as_secs_f64() * 1e6 / functions as f64,
    );
    Ok(())
}

/// The shortest of some runs.
fn time(input: &Input, runs: usize, threads: Option<usize>, status: i32) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..runs.max(1) {
        let mut patchgen = command(&input.version("old"), &input.version("new"))?;
        if let Some(threads) = threads {
            patchgen.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let begin = Instant::now();
        let finished = run(&mut patchgen)?;
        best = best.min(begin.elapsed());
        finished.expect(status)?;
    }
    Ok(best)
}

fn command(old: &Path, new: &Path) -> Result<Command> {
    let bundle: PathBuf = target_directory().join("built/curve/fix.lpatch");
    let mut command = Command::new(tool("patchgen")?);
    command.args([old, new]).arg("-o").arg(bundle);
    Ok(command)
}

/// What the command takes before it has read anything, in KiB.
fn memory_of_nothing() -> Result<u64> {
    run(Command::new(tool("patchgen")?).arg("--version"))?.expect(0)?;
    Ok(getrusage(UsageWho::RUSAGE_CHILDREN)?
        .max_rss()
        .unsigned_abs())
}
