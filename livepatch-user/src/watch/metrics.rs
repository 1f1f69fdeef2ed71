//! Figures for Prometheus' node exporter (its *textfile collector*), written whole or not at all.

use crate::whole_file::write_whole;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// What has been counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    /// Bundles in force.
    pub(super) bundles: usize,
    /// Processes that are waited for.
    pub(super) waiting: usize,
    /// By patch and result (`applied`, `reverted`, `busy`, `refused`, ...), how often.
    pub(super) results: BTreeMap<(String, String), u64>,
    /// How often all processes were looked at.
    pub(super) sweeps: u64,
    /// How often events were lost.
    pub(super) lost: u64,
}

impl Metrics {
    /// Counts a result.
    pub(super) fn count(&mut self, patch: &str, result: &str) {
        let key = (patch.to_owned(), result.to_owned());
        *self.results.entry(key).or_default() += 1;
    }

    /// Writes the file beside its place and renames it.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, self.text().as_bytes())
    }

    /// The text format: names of patches have no character that it would have to escape.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
            let _ = writeln!(
                text,
                "# HELP livepatch_{name} {help}\n# TYPE livepatch_{name} {kind}"
            );
            for (labels, value) in values {
                let _ = writeln!(text, "livepatch_{name}{labels} {value}");
            }
        };
        let one = |value: u64| [(String::new(), value)];
        metric(
            "watch_bundles",
            "gauge",
            "Bundles that are kept applied.",
            &one(self.bundles as u64),
        );
        let waiting = one(self.waiting as u64);
        metric(
            "watch_waiting",
            "gauge",
            "Processes that are waited for.",
            &waiting,
        );
        let results: Vec<(String, u64)> = self
            .results
            .iter()
            .map(|((patch, result), count)| {
                (format!("{{patch=\"{patch}\",result=\"{result}\"}}"), *count)
            })
            .collect();
        metric(
            "watch_results_total",
            "counter",
            "What came of applying and reverting.",
            &results,
        );
        metric(
            "watch_sweeps_total",
            "counter",
            "Looks at all processes.",
            &one(self.sweeps),
        );
        metric(
            "watch_lost_total",
            "counter",
            "Times that events were lost.",
            &one(self.lost),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let path = directory.path().join("livepatch.prom");
        let mut metrics = Metrics::default();
        metrics.write(&path).expect("writable");
        metrics.count("fix", "applied");
        metrics.count("fix", "applied");
        metrics.write(&path).expect("writable");
        let text = std::fs::read_to_string(&path).expect("just written");
        let line = "livepatch_watch_results_total{patch=\"fix\",result=\"applied\"} 2\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(
            std::fs::read_dir(directory.path())
                .expect("readable")
                .count(),
            1
        );
    }
}
