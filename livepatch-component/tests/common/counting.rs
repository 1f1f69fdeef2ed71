//! The sample in C, which tells whether anything was lost.

use super::{Place, Running, wait_for};
use livepatch_component::{How, Reply, Status};

/// A counter, version 1.0.0, that listens.
pub(crate) struct Counting {
    pub(crate) component: Running,
    pub(crate) place: Place,
    pub(crate) sent: u64,
}

impl Counting {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        place.counter("1.0.0", &[]);
        let component = place.run("counter", "1.0.0", &[]);
        component.command(&["open", place.path("numbers").to_str().expect("plain")]);
        let mut counting = Self {
            place,
            component,
            sent: 0,
        };
        counting.check();
        counting
    }

    /// Sends some, and checks that version 1.0.0 has seen all.
    pub(crate) fn check(&mut self) {
        let client = self.place.client();
        for _ in 0..100 {
            self.sent += 1;
            let message = self.sent.to_le_bytes();
            client.send(&message).expect("the component reads");
        }
        let shown = format!("1.0.0 count {} lost 0 late 0 ticks 0 signals 0", self.sent);
        let component = &self.component;
        wait_for("all are counted", || component.command(&["show"]) == shown);
    }

    /// Tries to upgrade to a version compiled like this.
    pub(crate) fn try_version(&mut self, version: &str, defines: &[&str], how: How) -> Reply {
        self.place.counter(version, defines);
        let before = self.component.show();
        let reply = self.component.upgrade_how(version, how);
        assert_ne!(reply.result, Status::Done, "{reply:?}");
        self.check();
        let after = self.component.show();
        assert_eq!(after.version, "1.0.0");
        assert_eq!(
            after.data_bytes, before.data_bytes,
            "nothing is left of {version}"
        );
        assert_eq!(after.timers, before.timers);
        reply
    }
}

/// Whether one of the reasons has this text.
pub(crate) fn tells(reply: &Reply, text: &str) -> bool {
    let found = reply.errors.iter().any(|error| error.contains(text));
    assert!(found, "{text:?} is not in {:?}", reply.errors);
    found
}

pub(crate) fn with(change: impl FnOnce(&mut How)) -> How {
    let mut how = How::default();
    change(&mut how);
    how
}
