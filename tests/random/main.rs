//! `livepatch-random`: random programs, changed at random, patched while they run.
//!
//! Fails when a patched program answers otherwise than the new one, or when too few changes can be applied.

use anyhow::{Result, bail};
use clap::Parser;
use livepatch_tests::synth::{Fate, Trial, run_batch};
use livepatch_tests::tools::target_directory;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes programs up, changes them, patches the running old ones and compares them with the new ones.
///
/// Example: `livepatch-random --seed 7 --changes 200`
#[derive(Debug, Parser)]
struct Arguments {
    /// How many changes.
    #[arg(long, default_value_t = 300)]
    changes: usize,
    /// Seed; the same one gives the same programs with the same compilers.
    #[arg(long, env = "PROPTEST_RNG_SEED", default_value_t = 1)]
    seed: u64,
    /// Units of each program, each of which gets a change.
    #[arg(long, default_value_t = 10)]
    units: usize,
    /// How many programs at once. Default: one for each processor.
    #[arg(long)]
    jobs: Option<usize>,
    /// Keep what was compiled.
    #[arg(long)]
    keep: bool,
}

/// Of so many of a hundred changes that are no refused ones by intent, as many as that must apply.
const APPLY_MIN: usize = 80;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("seed {}", arguments.seed);
    let mut trials = Vec::new();
    let mut wrong = Vec::new();
    for (seed, outcome) in run(&arguments) {
        match outcome {
            Ok(batch) => trials.extend(batch.into_iter().map(|trial| (seed, trial))),
            Err(error) => wrong.push(format!("program {seed}: {error:#}")),
        }
    }
    table(&trials);
    for (seed, trial) in &trials {
        if let Fate::Wrong(how) = &trial.fate {
            wrong.push(format!(
                "program {seed}, unit {} ({:?}, {}): {how}",
                trial.unit, trial.mutation, trial.form
            ));
        }
    }
    finish(&trials, &wrong)
}

type Batches = Vec<(u64, Result<Vec<Trial>>)>;

fn run(arguments: &Arguments) -> Batches {
    let count = arguments.changes.div_ceil(arguments.units);
    let (next, batches) = (AtomicUsize::new(0), Mutex::new(Batches::new()));
    let jobs = arguments
        .jobs
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let top = target_directory().join(format!("built/random-{}", std::process::id()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.unwrap_or(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let seed = arguments.seed.wrapping_add(index as u64);
                    let directory = top.join(seed.to_string());
                    let outcome = run_batch(seed, arguments.units, &directory);
                    let mut batches = batches.lock().expect("no worker panics with the lock");
                    batches.push((seed, outcome));
                }
            });
        }
    });
    if arguments.keep {
        println!("compiled in `{}`", top.display());
    } else {
        // What is left behind is rubbish in the build directory.
        let _ = std::fs::remove_dir_all(&top);
    }
    let mut batches = batches.into_inner().expect("no worker panicked");
    batches.sort_by_key(|(seed, _)| *seed);
    batches
}

/// By kind of change: how many applied, were none, were refused; then the reasons.
fn table(trials: &[(u64, Trial)]) {
    let mut rows: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (_, trial) in trials {
        let column = match &trial.fate {
            Fate::Applied => 0,
            Fate::Unchanged => 1,
            Fate::Refused(who, why) => {
                *reasons
                    .entry(format!("{who}: {}", reason(why)))
                    .or_default() += 1;
                2
            }
            Fate::Wrong(_) => 3,
        };
        rows.entry(format!("{:?}", trial.mutation)).or_default()[column] += 1;
    }
    println!(
        "{:14} {:>8} {:>9} {:>8} {:>6}",
        "change", "applied", "no change", "refused", "wrong"
    );
    for (row, [applied, unchanged, refused, wrong]) in rows {
        println!("{row:14} {applied:8} {unchanged:9} {refused:8} {wrong:6}");
    }
    for (reason, count) in reasons {
        println!("refused {count:4}  {reason}");
    }
}

/// A message without names and numbers, so that equal reasons count as one.
fn reason(message: &str) -> String {
    let lines: Vec<&str> = message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    // The first line says that it was refused, the last but one of a chain why.
    let line = lines.get(1).or(lines.first()).copied().unwrap_or_default();
    let mut parts = line.split('`');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(_name) = parts.next() {
        text.push('…');
        text.push_str(parts.next().unwrap_or_default());
    }
    let plain: String = text
        .split_whitespace()
        .map(|word| if word.contains("0x") { "N" } else { word })
        .collect::<Vec<_>>()
        .join(" ");
    plain.chars().take(150).collect()
}

fn finish(trials: &[(u64, Trial)], wrong: &[String]) -> Result<()> {
    let count =
        |wanted: fn(&Fate) -> bool| trials.iter().filter(|(_, one)| wanted(&one.fate)).count();
    let applied = count(|fate| *fate == Fate::Applied);
    let unchanged = count(|fate| *fate == Fate::Unchanged);
    let changes = trials.len() - unchanged;
    println!(
        "{} changes: {applied} of {changes} that mean something applied and reverted ({} %), {unchanged} mean nothing",
        trials.len(),
        applied * 100 / changes.max(1)
    );
    for complaint in wrong {
        println!("{complaint}");
    }
    if !wrong.is_empty() {
        bail!("{} are wrong", wrong.len());
    }
    if applied * 100 < changes * APPLY_MIN {
        bail!("fewer than {APPLY_MIN} % could be applied");
    }
    println!("random programs: ok");
    Ok(())
}
