//! Directives in the sources of cases: `//#Name: words`.

use std::collections::BTreeMap;

/// Directives by name.
#[derive(Default)]
pub(crate) struct Directives(BTreeMap<String, Vec<String>>);

impl Directives {
    /// Those of a source.
    pub(crate) fn of(source: &str) -> Self {
        let mut found = Self::default();
        for line in source.lines().filter_map(|line| line.strip_prefix("//#")) {
            let (name, rest) = line.split_once(':').expect("a directive has a colon");
            found
                .0
                .entry(name.to_owned())
                .or_default()
                .push(rest.trim().to_owned());
        }
        found
    }

    /// What stands behind each of a name.
    pub(crate) fn lines(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The words behind all of a name.
    pub(crate) fn words(&self, name: &str) -> Vec<&str> {
        self.lines(name)
            .iter()
            .flat_map(|line| line.split_whitespace())
            .collect()
    }

    /// Whether there is one of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
