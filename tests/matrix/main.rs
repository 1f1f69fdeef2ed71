//! `livepatch-matrix`: every case by every compiler, patched and reverted while it runs.
//!
//! Prints the verdicts that are not what the case and `tests/matrix/expected.txt` say, and fails if there are any.

use anyhow::{Context, Result, bail};
use clap::Parser;
use livepatch_tests::form::Form;
use livepatch_tests::matrix::{Cell, Table, Verdict, cases, surprise, verdict};
use livepatch_tests::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compiles the cases in all forms, patches and reverts them in live processes.
///
/// Example: `livepatch-matrix --case cold --form gcc-c-O3-sections`
#[derive(Debug, Parser)]
struct Arguments {
    /// Take so many cells, chosen by the seed. Default: all.
    #[arg(long)]
    sample: Option<usize>,
    /// Seed of the sample.
    #[arg(long, env = "PROPTEST_RNG_SEED", default_value_t = 1)]
    seed: u64,
    /// Take only this case. Repeat for several.
    #[arg(long)]
    case: Vec<String>,
    /// Take only this form, or forms with these properties (`clang`, `O0`). Repeat for several.
    #[arg(long)]
    form: Vec<String>,
    /// Write what came out into `tests/matrix/expected.txt`.
    #[arg(long)]
    bless: bool,
    /// How many cells at once. Default: one for each processor.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let names = cases()?;
    let mut cells = chosen(&arguments, &names)?;
    let mut table = Table::parse(&fs::read_to_string(Table::path()).unwrap_or_default())?;
    if let Some(count) = arguments.sample {
        println!("seed {}", arguments.seed);
        // What the table does not know yet is complained about when all cells are taken.
        cells.retain(|cell| table.get(cell).is_some_and(|letter| letter != '?'));
        cells = Random::new(arguments.seed).sample(cells, count);
    }
    let results = run(&cells, arguments.jobs);
    let mut wrong = Vec::new();
    let mut shown = Table::default();
    for (cell, result) in cells.iter().zip(results) {
        let (verdict, complaint) = judge(cell, result, &table);
        if !arguments.bless || matches!(verdict, Verdict::Failed(_)) {
            wrong.extend(
                complaint.map(|complaint| format!("{} {}: {complaint}", cell.case, cell.form)),
            );
        }
        shown.set(cell, &verdict);
        if arguments.bless {
            table.set(cell, &verdict);
        }
    }
    print!("{}", shown.text());
    if arguments.bless {
        table.keep(&names);
        fs::write(Table::path(), table.text()).context("write the table")?;
    }
    let gone = table.others(&names);
    wrong.extend(
        gone.into_iter()
            .map(|case| format!("{case}: there is no such case any more")),
    );
    summary(cells.len(), &shown, &wrong)
}

/// The cells that the arguments name.
fn chosen(arguments: &Arguments, names: &[String]) -> Result<Vec<Cell>> {
    for case in &arguments.case {
        if !names.contains(case) {
            bail!("there is no case `{case}`");
        }
    }
    let wanted = |form: &Form| {
        let named = |word: &String| form.to_string() == *word || form.is(word);
        arguments.form.iter().all(named)
    };
    let mut cells = Vec::new();
    for case in names {
        if !arguments.case.is_empty() && !arguments.case.contains(case) {
            continue;
        }
        let forms = Form::all().into_iter().filter(wanted);
        cells.extend(forms.map(|form| Cell {
            case: case.clone(),
            form,
        }));
    }
    Ok(cells)
}

type Outcome = Result<(Verdict, livepatch_tests::directives::Outcome)>;

fn run(cells: &[Cell], jobs: Option<usize>) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let jobs = jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    std::thread::scope(|scope| {
        for worker in 0..jobs.unwrap_or(1) {
            let (next, results) = (&next, &results);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(index) else { break };
                    let directory = format!("matrix-{}-{worker}", std::process::id());
                    let outcome = verdict(cell, &directory);
                    let mut results = results.lock().expect("no worker panics with the lock");
                    results.insert(index, outcome);
                }
            });
        }
    });
    let results = results.into_inner().expect("no worker panicked");
    results.into_values().collect()
}

/// The verdict, and why it is not what it should be.
fn judge(cell: &Cell, outcome: Outcome, table: &Table) -> (Verdict, Option<String>) {
    let (verdict, expected) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let text = format!("{error:#}");
            return (Verdict::Failed(text.clone()), Some(text));
        }
    };
    let complaint = surprise(&verdict, &expected).or_else(|| {
        let letter = table.get(cell);
        (letter != Some(verdict.letter())).then(|| {
            let letter = letter.unwrap_or('?');
            format!("the table has `{letter}`, and it is: {verdict}")
        })
    });
    (verdict, complaint)
}

fn summary(count: usize, shown: &Table, wrong: &[String]) -> Result<()> {
    let rows: Vec<String> = shown.text().lines().map(str::to_owned).collect();
    let letters = rows.iter().filter(|row| !row.starts_with('#'));
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    for letter in letters.flat_map(|row| row.split_once(' ').map_or("", |(_, rest)| rest).chars()) {
        *counts.entry(letter).or_default() += 1;
    }
    let of = |letter: char| counts.get(&letter).copied().unwrap_or(0);
    println!(
        "{count} cells: {} patched and reverted, {} without change, {} refused by patchgen, {} by livepatch, {} failed, \
         {} no valid programs, {} not asked",
        of('P'),
        of('='),
        of('g'),
        of('a'),
        of('!'),
        of('.'),
        of('-')
    );
    if wrong.is_empty() {
        println!("matrix: ok");
        return Ok(());
    }
    for complaint in wrong {
        println!("{complaint}");
    }
    bail!("{} verdicts are not what they should be", wrong.len())
}
