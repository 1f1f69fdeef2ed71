//! What was done to a component: kept in memory and, so that it outlives a crash, in a file.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// So many are kept in memory and shown.
const RECORDS_MAX: usize = 1000;
/// The outcome of what ended the process.
pub(crate) const CRASHED: &str = "crashed";

/// How data came from one version to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// The same data, by reference.
    HandedOver,
    /// New data, made from the old.
    Migrated,
    /// New data from nothing.
    Fresh,
}

/// How long each operation took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// What the new version did on the main task's thread to make ready, before the pause and apart from it.
    pub warm_up_ns: u64,
    /// Protecting the data for a moment, after that and apart from it, too: the next time the kernel is quicker.
    pub rehearsal_ns: u64,
    /// TERM of the old version.
    pub term_ns: u64,
    /// HOLD of the old version.
    pub hold_ns: u64,
    /// Write-protecting the data.
    pub seal_ns: u64,
    /// The copy of the process, with `--standby`.
    pub standby_ns: u64,
    /// The trial, with `--trial`.
    pub trial_ns: u64,
    /// Unloading and loading, with `--strict-order`.
    pub load_ns: u64,
    /// Making new data.
    pub data_ns: u64,
    /// RESTART of the new version.
    pub restart_ns: u64,
    /// Letting the change stand, or taking it back.
    pub end_ns: u64,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// `start`, `upgrade`, `rollback`, `probation`, `takeover`.
    pub action: String,
    /// The version before.
    pub from: Option<String>,
    /// The version that was to run.
    pub to: String,
    /// `done`, `rolled-back`, `refused`, `busy`, `broken`, `crashed`.
    pub outcome: String,
    /// Why, when it was not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// How the data came over.
    pub transfer: Option<Transfer>,
    /// From before TERM until events were handled again, in nanoseconds.
    pub pause_ns: u64,
    /// What of it the main task spent on a processor. The rest others took, or the host of a virtual machine.
    #[serde(default)]
    pub pause_busy_ns: u64,
    /// Its parts.
    pub phases: Phases,
    /// Events that waited when the pause began, and when it ended.
    pub queue_before: usize,
    /// See above.
    pub queue_after: usize,
    /// From the request to the pause, in nanoseconds.
    pub prepare_ns: u64,
    /// What the old version left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
}

impl Record {
    /// A record of something that begins now.
    pub(crate) fn new(action: &str, from: Option<&str>, to: &str) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = time.unwrap_or_default().as_millis();
        Self {
            time_ms: u64::try_from(millis).unwrap_or_default(),
            action: action.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            outcome: "done".to_owned(),
            reasons: Vec::new(),
            transfer: None,
            pause_ns: 0,
            pause_busy_ns: 0,
            phases: Phases::default(),
            queue_before: 0,
            queue_after: 0,
            prepare_ns: 0,
            leftovers: Vec::new(),
        }
    }
}

/// The history of a component.
#[derive(Debug)]
pub(crate) struct History {
    records: VecDeque<Record>,
    /// How many were forgotten.
    gone: u64,
    file: File,
}

impl History {
    /// Reads what there was and goes on with it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path)?;
        let mut records = VecDeque::new();
        for line in BufReader::new(&file).split(b'\n') {
            // A line that a crash or a full disk cut short is passed over.
            if let Ok(record) = serde_json::from_slice(&line?) {
                records.push_back(record);
                if records.len() > RECORDS_MAX {
                    records.pop_front();
                }
            }
        }
        Ok(Self {
            records,
            gone: 0,
            file,
        })
    }

    /// Adds a record, in memory for now; returns its number.
    pub(crate) fn add(&mut self, record: Record) -> u64 {
        self.records.push_back(record);
        if self.records.len() > RECORDS_MAX {
            self.records.pop_front();
            self.gone += 1;
        }
        self.gone + self.records.len() as u64 - 1
    }

    /// Adds what was left behind, and writes the record to the file; returns it, and whether it could be written.
    pub(crate) fn complete(
        &mut self,
        number: u64,
        leftover: Option<String>,
    ) -> (Option<&Record>, io::Result<()>) {
        let index = usize::try_from(number.saturating_sub(self.gone));
        let record = index.ok().and_then(|index| self.records.get_mut(index));
        let Some(record) = record else {
            return (None, Ok(()));
        };
        record.leftovers.extend(leftover);
        let mut line = serde_json::to_vec(record).expect("records are plain data");
        line.push(b'\n');
        let written = self.file.write_all(&line);
        (Some(record), written)
    }

    /// The newest record, to add to what is shown of it.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Record> {
        self.records.back_mut()
    }

    /// Whether it has what has begun, or what came later.
    pub(crate) fn has(&self, begun: &Record) -> bool {
        let told = |it: &Record| (it.action.clone(), it.from.clone(), it.to.clone());
        let last = self.records.back();
        last.is_some_and(|last| match last.time_ms.cmp(&begun.time_ms) {
            Ordering::Greater => true,
            // What came before may have begun in the same millisecond.
            Ordering::Equal => told(last) == told(begun),
            Ordering::Less => false,
        })
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_in_the_millisecond_of_another_is_told_from_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut history = History::open(file.path()).expect("readable");
        let start = Record::new("start", None, "1.0.0");
        let begun = Record {
            time_ms: start.time_ms,
            ..Record::new("upgrade", Some("1.0.0"), "2.0.0")
        };
        history.add(start.clone());
        assert!(history.has(&start));
        assert!(!history.has(&begun));
        let earlier = Record {
            time_ms: start.time_ms - 1,
            ..begun.clone()
        };
        assert!(history.has(&earlier));
        history.add(begun.clone());
        assert!(history.has(&begun));
    }

    #[test]
    fn lines_that_are_no_records_are_passed_over() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut history = History::open(file.path()).expect("readable");
        let number = history.add(Record::new("start", None, "1.0.0"));
        let (_, written) = history.complete(number, None);
        written.expect("writable");
        let mut bytes = std::fs::read(file.path()).expect("readable");
        bytes.extend(b"\xff\xfe\n{\"time_ms\":1\n\n");
        std::fs::write(file.path(), bytes).expect("writable");
        let history = History::open(file.path()).expect("readable");
        let versions: Vec<&str> = history.records().map(|it| it.to.as_str()).collect();
        assert_eq!(versions, ["1.0.0"]);
    }
}
