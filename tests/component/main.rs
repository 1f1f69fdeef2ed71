//! `livepatch-component-bench`: how long messages wait while a component is upgraded, beside Erlang/OTP.
//!
//! A sender has one message due at each of evenly spaced moments and sends it then, or as soon after as it can; its delay, from when
//! it was due to when it was handled, is what the module measures. Windows with an upgrade in them alternate with windows of the
//! same length without one, so that what the machine does by itself can be told apart.

mod erlang;
mod gaps;
mod load;
mod machine;
mod ours;
mod report;

use anyhow::Result;
use clap::Parser;
use nix::sys::prctl::set_thp_disable;

/// Measures upgrades under load; see `docs/component.md`.
///
/// Example: `livepatch-component-bench --upgrades 100`
#[derive(Debug, Parser)]
struct Arguments {
    /// Upgrades of each kind.
    #[arg(long, default_value_t = 100)]
    upgrades: usize,
    /// Messages a second.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Milliseconds from upgrade to upgrade.
    #[arg(long, default_value_t = 60)]
    window: u64,
    /// Only rows whose name has this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keep the component from having huge pages (`PR_SET_THP_DISABLE`).
    #[arg(long)]
    no_huge_pages: bool,
    /// What data lies in, as `livepatch component run --backing` has it.
    #[arg(long, value_name = "KIND", default_value = "auto")]
    backing: String,
    /// Leave Erlang out.
    #[arg(long)]
    no_erlang: bool,
}

/// What is upgraded, and how.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    records: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Keep,
    Migrate,
    /// RESTART of the new version fails.
    Fail,
    /// It panics.
    Panic,
}

const CASES: [Case; 12] = [
    Case {
        name: "no records",
        records: 0,
        kind: Kind::Keep,
    },
    Case {
        name: "1,000 records, handed over",
        records: 1_000,
        kind: Kind::Keep,
    },
    Case {
        name: "100,000 records, handed over",
        records: 100_000,
        kind: Kind::Keep,
    },
    Case {
        name: "1,000,000 records, handed over",
        records: 1_000_000,
        kind: Kind::Keep,
    },
    Case {
        name: "1,000 records, migrated",
        records: 1_000,
        kind: Kind::Migrate,
    },
    Case {
        name: "100,000 records, migrated",
        records: 100_000,
        kind: Kind::Migrate,
    },
    Case {
        name: "1,000 records, RESTART fails",
        records: 1_000,
        kind: Kind::Fail,
    },
    Case {
        name: "100,000 records, RESTART fails",
        records: 100_000,
        kind: Kind::Fail,
    },
    Case {
        name: "1,000,000 records, RESTART fails",
        records: 1_000_000,
        kind: Kind::Fail,
    },
    Case {
        name: "1,000 records, RESTART panics",
        records: 1_000,
        kind: Kind::Panic,
    },
    Case {
        name: "100,000 records, RESTART panics",
        records: 100_000,
        kind: Kind::Panic,
    },
    Case {
        name: "1,000,000 records, RESTART panics",
        records: 1_000_000,
        kind: Kind::Panic,
    },
];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let place = ours::Place::new()?;
    // What is started from here inherits it.
    set_thp_disable(arguments.no_huge_pages)?;
    print!("{}", report::head(&arguments));
    let wanted = |case: &Case| match &arguments.only {
        Some(text) => case.name.contains(text.as_str()),
        None => true,
    };
    for case in CASES.into_iter().filter(wanted) {
        println!("{}", ours::measure(&place, case, &arguments)?);
    }
    if !arguments.no_erlang {
        let works = |case: &Case| matches!(case.kind, Kind::Keep | Kind::Migrate);
        for case in CASES.into_iter().filter(wanted).filter(works) {
            println!("{}", erlang::measure(case, &arguments)?);
        }
    }
    if machine::is_ours() {
        println!("\n{}", gaps::measure()?);
    }
    println!("\nOf all messages 0 were lost, 0 came twice, 0 out of order.");
    Ok(())
}
