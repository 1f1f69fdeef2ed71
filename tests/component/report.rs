//! The table: each line as soon as it is known.

use super::{Arguments, machine};
use std::fmt;

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
    /// What of it the main task had a processor.
    pub(crate) busy: Vec<u64>,
    /// The longer of two shorter pauses before it: the new version makes ready, and protecting the data is rehearsed.
    pub(crate) before: Vec<u64>,
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
            busy: Vec::new(),
            before: Vec::new(),
            sent: 0,
        }
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn median(values: &[u64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .get(sorted.len() / 2)
        .map_or(0.0, |nanos| micros(*nanos))
}

/// Minimum, median and maximum in microseconds.
fn spread(values: &[u64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
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

/// The head of the table, as Markdown.
pub(crate) fn head(arguments: &Arguments) -> String {
    format!(
        "{} messages a second, {} upgrades; minimum / median / maximum in µs{}\n\n\
         | | | longest delay with an upgrade | without | more, of the medians | pause | of it on a processor | before it | messages |\n|---|---|---|---|---|---|---|---|---|\n",
        arguments.rate,
        arguments.upgrades,
        match machine::is_ours() {
            true => "; a processor each, real-time priority",
            false => "; as an ordinary user, on any processor",
        }
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (with, without, pause) = (&self.upgrade, &self.control, &self.pause);
        write!(
            f,
            "| {} | {} | {} | {} | {:.0} | {} | {} | {} | {} |",
            self.who,
            self.case,
            spread(with),
            spread(without),
            median(with) - median(without),
            spread(pause),
            spread(&self.busy),
            spread(&self.before),
            self.sent
        )
    }
}
