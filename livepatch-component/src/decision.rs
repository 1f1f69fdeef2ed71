//! The decision on a group: whether the upgrades of several components stand.
//!
//! It is a symbolic link, which is made once, whole, by whoever comes first, and never changed: the command makes it when all components
//! have been upgraded; a component that goes back, or crashed and starts anew, makes it the other way. So all read the same.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All upgrades stand.
    Stands,
    /// All go back.
    Off,
}

impl Verdict {
    /// What the link points to.
    fn text(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::Off => "off",
        }
    }
}

/// Where a decision is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Decision(PathBuf);

impl Decision {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Decides, unless that was done; returns what holds.
    ///
    /// # Errors
    /// When it cannot be written, or something else lies there.
    pub(crate) fn make(&self, wanted: Verdict) -> io::Result<Verdict> {
        match symlink(wanted.text(), &self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.read(),
            made => made.map(|()| wanted),
        }
    }

    fn read(&self) -> io::Result<Verdict> {
        let target = fs::read_link(&self.0)?;
        let verdicts = [Verdict::Stands, Verdict::Off].into_iter();
        let mut same = verdicts.filter(|verdict| target.as_os_str() == verdict.text());
        same.next().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Removes it, once nobody needs it any more.
    pub(crate) fn forget(&self) {
        // There may be none.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_decides() {
        let directory = tempfile::tempdir().expect("a directory");
        for (first, second) in [
            (Verdict::Stands, Verdict::Off),
            (Verdict::Off, Verdict::Stands),
        ] {
            let decision = Decision::at(directory.path().join("decision"));
            assert_eq!(decision.make(first).expect("writable"), first);
            assert_eq!(decision.make(second).expect("readable"), first);
            decision.forget();
            decision.forget();
        }
    }

    #[test]
    fn what_is_no_decision_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("decision");
        fs::write(&path, "stands").expect("writable");
        let decision = Decision::at(path.clone());
        assert!(decision.make(Verdict::Off).is_err(), "a file");
        decision.forget();
        symlink("standstill", &path).expect("writable");
        assert!(decision.make(Verdict::Off).is_err(), "other words");
        let nowhere = Decision::at(directory.path().join("none/decision"));
        assert!(nowhere.make(Verdict::Stands).is_err(), "no directory");
    }
}
