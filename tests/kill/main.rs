//! `livepatch-kill`: kills `livepatch` after every system call of its work and looks at what becomes of the target.
//!
//! Fails when a target died, stayed stopped, lost its signals, or could not be put right by the next runs.

use anyhow::{Result, bail};
use clap::Parser;
use livepatch_tests::killer::Victim;
use livepatch_tests::killer::build::{Built, Patch};
use livepatch_tests::killer::subject::Verb;
use livepatch_tests::killer::sweep::{Calls, Sweep};
use livepatch_tests::killer::tally::Tally;
use livepatch_tests::random::Random;
use std::time::Instant;

/// Kills `livepatch` and its guardian at every moment of an apply and a revert.
///
/// Example: `livepatch-kill --seed 7 --sample 20 --moments 20`
#[derive(Debug, Parser)]
struct Arguments {
    /// Kill after so many system calls of each run, chosen by the seed. Default: after every one.
    #[arg(long)]
    sample: Option<usize>,
    /// Kill after the system calls from this one on.
    #[arg(long, default_value_t = 1)]
    first: usize,
    /// Kill after the system calls up to this one.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    last: usize,
    /// Kill at so many random moments; as many more kill the cgroup.
    #[arg(long, default_value_t = 500)]
    moments: usize,
    /// Seed.
    #[arg(long, env = "PROPTEST_RNG_SEED", default_value_t = 1)]
    seed: u64,
    /// Let the target confine itself (`tests/kill/confine.h`).
    #[arg(long)]
    confine: Option<String>,
    /// Only runs whose row in the table has this text.
    #[arg(long, default_value = "")]
    only: String,
}

/// The seed, the sizes of targets, and what is counted as a row.
const THREADS: [usize; 2] = [1, 64];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("seed {}", arguments.seed);
    let built = Built::make(&format!("kill-{}", std::process::id()))?;
    let outcome = rows(&arguments, &built);
    built.remove()?;
    let total = outcome?;
    println!("{:34} {total}", "all");
    for (complaint, count) in &total.complaints {
        println!("{count:4} x {complaint}");
    }
    if total.harmed() > 0 {
        bail!("{} of {} kills did harm", total.harmed(), total.kills);
    }
    println!("kills: ok");
    Ok(())
}

fn rows(arguments: &Arguments, built: &Built) -> Result<Tally> {
    let mut random = Random::new(arguments.seed);
    let mut total = Tally::default();
    println!("{:34} {}", "", Tally::head());
    let between = Calls::Between(arguments.first, arguments.last);
    let calls = arguments.sample.map_or(between, Calls::Sample);
    for sweep in sweeps(&arguments.confine) {
        row(
            arguments,
            &mut total,
            &format!("{} calls", sweep.name()),
            || sweep.calls(built, &calls, &mut random),
        )?;
    }
    let kinds = sweeps(&arguments.confine).filter(|sweep| sweep.victim != Victim::Client);
    let each = arguments.moments.div_ceil(kinds.clone().count());
    for sweep in kinds.filter(|_| each > 0) {
        row(
            arguments,
            &mut total,
            &format!("{} moments", sweep.name()),
            || sweep.moments(built, each, &mut random),
        )?;
        if sweep.victim == Victim::Both {
            row(
                arguments,
                &mut total,
                &format!("{} cgroup", sweep.name()),
                || sweep.groups(built, each, &mut random),
            )?;
        }
    }
    Ok(total)
}

fn row(
    arguments: &Arguments,
    total: &mut Tally,
    name: &str,
    work: impl FnOnce() -> Result<Tally>,
) -> Result<()> {
    if !name.contains(&arguments.only) {
        return Ok(());
    }
    let begin = Instant::now();
    let tally = work()?;
    println!("{name:34} {tally}  {:4} s", begin.elapsed().as_secs());
    total.merge(&tally);
    Ok(())
}

/// Every run that is interrupted.
fn sweeps(confinement: &Option<String>) -> impl Iterator<Item = Sweep> + Clone {
    let victims = [Victim::Guardian, Victim::Client, Victim::Both];
    let each = move |threads| {
        [Verb::Apply, Verb::Revert]
            .into_iter()
            .flat_map(move |verb| {
                [Patch::One, Patch::Three, Patch::Hooks]
                    .into_iter()
                    .flat_map(move |patch| {
                        victims.into_iter().map(move |victim| Sweep {
                            verb,
                            patch,
                            threads,
                            victim,
                            confinement: confinement.clone(),
                        })
                    })
            })
    };
    THREADS.into_iter().flat_map(each)
}
