//! Counting what became of the target.

use std::collections::BTreeMap;
use std::fmt;

/// What one kill left behind, before anything was put right.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The target is dead, or does not answer.
    pub dead: Option<String>,
    /// A thread stays stopped or traced.
    pub stopped: Option<String>,
    /// Some functions are old and some new.
    pub half: bool,
    /// A thread whose blocked signals are not what they were.
    pub masks: Option<String>,
    /// Sleepers that saw an `EINTR`.
    pub interrupted: usize,
    /// Mappings that a patch in force does not explain.
    pub mappings: usize,
    /// File descriptors more than before.
    pub descriptors: usize,
    /// What the next runs could not put right.
    pub unrepaired: Option<String>,
}

/// Sums over many kills.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many kills.
    pub kills: usize,
    /// Targets that died.
    pub dead: usize,
    /// Targets that stayed stopped.
    pub stopped: usize,
    /// Targets left between old and new.
    pub half: usize,
    /// Targets with a thread whose blocked signals changed.
    pub masks: usize,
    /// Targets in which a sleeper saw an `EINTR`.
    pub interrupted: usize,
    /// Targets with mappings, or descriptors, left for the next run.
    pub leftovers: usize,
    /// Targets that the next runs could not put right.
    pub unrepaired: usize,
    /// What went wrong, and how often.
    pub complaints: BTreeMap<String, usize>,
}

impl Tally {
    /// Adds the finding of a kill at `place`.
    pub fn add(&mut self, place: &str, finding: &Finding) {
        self.kills += 1;
        self.half += usize::from(finding.half);
        self.interrupted += usize::from(finding.interrupted > 0);
        self.leftovers += usize::from(finding.mappings + finding.descriptors > 0);
        for (count, text) in [
            (&mut self.dead, &finding.dead),
            (&mut self.stopped, &finding.stopped),
            (&mut self.masks, &finding.masks),
            (&mut self.unrepaired, &finding.unrepaired),
        ] {
            if let Some(text) = text {
                *count += 1;
                *self
                    .complaints
                    .entry(format!("{place}: {text}"))
                    .or_default() += 1;
            }
        }
        if finding.half {
            let text = format!("{place}: half patched");
            *self.complaints.entry(text).or_default() += 1;
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        self.kills += other.kills;
        self.dead += other.dead;
        self.stopped += other.stopped;
        self.half += other.half;
        self.masks += other.masks;
        self.interrupted += other.interrupted;
        self.leftovers += other.leftovers;
        self.unrepaired += other.unrepaired;
        for (text, count) in &other.complaints {
            *self.complaints.entry(text.clone()).or_default() += count;
        }
    }

    /// How many targets were harmed: dead, stopped, deaf to signals, or beyond repair.
    #[must_use]
    pub fn harmed(&self) -> usize {
        self.dead + self.stopped + self.masks + self.unrepaired
    }

    /// The head of the table whose rows are tallies.
    #[must_use]
    pub fn head() -> String {
        format!(
            "{:>7} {:>5} {:>7} {:>5} {:>5} {:>6} {:>9} {:>10}",
            "kills", "dead", "stopped", "half", "masks", "EINTR", "leftovers", "unrepaired"
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:7} {:5} {:7} {:5} {:5} {:6} {:9} {:10}",
            self.kills,
            self.dead,
            self.stopped,
            self.half,
            self.masks,
            self.interrupted,
            self.leftovers,
            self.unrepaired
        )
    }
}
