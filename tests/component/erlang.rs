//! The other side: the same server in Erlang/OTP, upgraded as its release handler does it.

use super::machine;
use super::report::Row;
use super::{Arguments, Case, Kind};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// Measures one case.
pub(crate) fn measure(case: Case, arguments: &Arguments) -> Result<Row> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("component");
    let mut words = vec!["escript"];
    if machine::is_ours() {
        // All of its threads, as the sender is one of them.
        words.splice(0..0, ["chrt", "--fifo", "5"]);
    }
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(sources.join("benchmark.escript"))
        .arg(sources.join("ledger_server.erl"))
        .args([case.records, arguments.rate].map(|number| number.to_string()))
        .arg(arguments.upgrades.to_string())
        .arg(arguments.window.to_string())
        .arg(if case.kind == Kind::Migrate {
            "migrate"
        } else {
            "keep"
        })
        .output()
        .context("`escript` cannot be run; scripts/bootstrap network installs it")?;
    ensure!(output.status.success(), "{output:?}");
    let mut row = Row::new("Erlang/OTP", case.name);
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>();
        let numbers = numbers.with_context(|| line.to_owned())?;
        match (name, &numbers[..]) {
            ("control", _) => row.control = numbers,
            ("upgrade", _) => row.upgrade = numbers,
            ("counts", [sent, 0, 0]) => row.sent = *sent,
            _ => anyhow::bail!("Erlang: {line}"),
        }
    }
    Ok(row)
}
