//! Replies for people.

use super::time::rfc3339;
use crate::control::protocol::{Reply, Shown};
use crate::history::{Record, Transfer};
use crate::module::mapper::Symbol;

/// `show`.
pub(super) fn show(reply: &Reply) -> Vec<String> {
    let Some(shown) = &reply.component else {
        return Vec::new();
    };
    let mut lines = vec![
        format!("{} {} in process {}", shown.name, shown.version, shown.pid),
        format!(
            "  module    {} (sha256 {})",
            shown.module,
            short(&shown.digest)
        ),
    ];
    if let Some(signer) = &shown.signer {
        lines.push(format!("  signed    with key {signer}"));
    }
    lines.push(format!(
        "  data      {} bytes in {} MiB ({}), schema {}",
        shown.data_bytes,
        shown.memory_bytes >> 20,
        shown.backing,
        shown.schema
    ));
    if let Some(previous) = &shown.previous {
        let probation = if shown.on_probation {
            ", on probation"
        } else {
            ""
        };
        lines.push(format!("  previous  {previous}{probation}"));
    }
    lines.extend(traffic(shown));
    for leftover in &shown.leftovers {
        lines.push(format!("  left      {leftover}"));
    }
    if shown.restarts > 0 {
        lines.push(format!("  restarts  {}", shown.restarts));
    }
    if let Some(symbols) = &shown.symbols {
        lines.extend(table("call-backs", &symbols.callbacks));
        lines.extend(table("library", &symbols.library));
        lines.extend(table("data", &symbols.data));
    }
    lines
}

fn traffic(shown: &Shown) -> Vec<String> {
    let queue = &shown.queue;
    let mut lines = vec![
        format!(
            "  queue     {} waiting, {} at most so far, {} allowed; {} events in all",
            queue.waiting, queue.high, queue.bound, queue.total
        ),
        format!(
            "  events    {} handled, {} failed",
            shown.handled, shown.failed
        ),
        format!("  timers    {}", shown.timers),
    ];
    for socket in &shown.sockets {
        let traffic = &socket.traffic;
        lines.push(format!(
            "  socket    {} -> {}: {} received, {} sent, {} dropped ({}), {} dropped by the kernel",
            socket.name,
            socket.entry,
            traffic.received,
            traffic.sent,
            traffic.dropped,
            socket.policy,
            traffic.dropped_by_kernel
        ));
    }
    lines
}

fn table(title: &str, symbols: &[Symbol]) -> Vec<String> {
    let mut lines = vec![format!("  {title}")];
    let rows = symbols.iter();
    lines.extend(rows.map(|symbol| format!("    {} {}", symbol.address, symbol.name)));
    lines
}

/// The records of an upgrade; why it failed is told as an error.
pub(super) fn records(reply: &Reply) -> Vec<String> {
    let told = |record: &Record| match reply.errors.is_empty() {
        true => line(record) + &reasons(record),
        false => line(record),
    };
    reply.history.iter().map(told).collect()
}

/// The record of an upgrade that was asked for, and what is to be said of it if it is done.
pub(super) fn upgraded(reply: &Reply, outlook: Option<&str>) -> Vec<String> {
    let mut lines = records(reply);
    if let (true, Some(last), Some(outlook)) = (reply.errors.is_empty(), lines.last_mut(), outlook)
    {
        *last += &format!("; {outlook}");
    }
    lines
}

/// The history, and how long the pauses were.
pub(super) fn history(reply: &Reply) -> Vec<String> {
    let told = |record: &Record| {
        let time = rfc3339(record.time_ms);
        format!("{time} {}{}", line(record), reasons(record))
    };
    let mut lines: Vec<String> = reply.history.iter().map(told).collect();
    let pauses = reply.history.iter().map(|record| record.pause_ns / 1000);
    lines.extend(histogram("pause in µs", pauses.filter(|pause| *pause > 0)));
    let depths = reply.history.iter().filter(|record| record.pause_ns > 0);
    lines.extend(histogram(
        "events waiting after it",
        depths.map(|record| record.queue_after as u64),
    ));
    lines
}

/// What was done, and how it went.
fn line(record: &Record) -> String {
    let from = record.from.as_deref().map(|from| format!("{from} -> "));
    let mut line = format!(
        "{} {}{}: {}",
        record.action,
        from.unwrap_or_default(),
        record.to,
        record.outcome
    );
    if record.pause_ns > 0 {
        let transfer = match record.transfer {
            Some(Transfer::HandedOver) => ", data handed over",
            Some(Transfer::Migrated) => ", data migrated",
            Some(Transfer::Fresh) => ", new data",
            None => "",
        };
        line += &format!(
            "; pause {:.1} µs{transfer}, {} events waited",
            record.pause_ns as f64 / 1000.0,
            record.queue_after
        );
    }
    for leftover in &record.leftovers {
        line += &format!("; left behind: {leftover}");
    }
    line
}

/// Why it went so.
fn reasons(record: &Record) -> String {
    match record.reasons.is_empty() {
        true => String::new(),
        false => format!("; {}", record.reasons.join(": ")),
    }
}

/// Counts by powers of two.
fn histogram(title: &str, values: impl Iterator<Item = u64>) -> Vec<String> {
    let mut counts = [0_u32; 65];
    for value in values {
        counts[(64 - value.leading_zeros()) as usize] += 1;
    }
    let mut lines = Vec::new();
    for (power, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let below = 1_u128 << power;
        lines.push(format!("  below {below:>10}  {count}"));
    }
    if !lines.is_empty() {
        lines.insert(0, format!("{title}:"));
    }
    lines
}

/// What a module answered.
pub(super) fn answer(reply: &Reply) -> Vec<String> {
    let lines = reply.answer.as_deref().unwrap_or_default().lines();
    lines.map(str::to_owned).collect()
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
