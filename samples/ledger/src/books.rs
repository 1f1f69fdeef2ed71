//! What all versions of the data have in common.

use crate::nanos;
use livepatch_module::Schema;
use std::time::Duration;

livepatch_module::state! {
    /// What is known of the messages.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Counts {
        /// Messages that came.
        pub count: u64,
        /// The highest number.
        pub last: u64,
        /// Numbers that were left out.
        pub lost: u64,
        /// Messages with a number that was not higher than the one before: they came twice, or out of order.
        pub late: u64,
        /// The longest delay, in nanoseconds.
        pub worst_ns: u64,
    }
}

impl Counts {
    /// Notes a message.
    pub fn note(&mut self, number: u64, late: Duration) {
        self.count += 1;
        self.worst_ns = self.worst_ns.max(nanos(late));
        if number <= self.last {
            self.late += 1;
            return;
        }
        self.lost += number - self.last - 1;
        self.last = number;
    }

    /// The longest delay since this was last asked.
    pub fn take_worst(&mut self) -> Duration {
        Duration::from_nanos(std::mem::take(&mut self.worst_ns))
    }
}

/// The data of a version.
pub trait Book: Schema {
    /// What is known of the messages.
    fn counts(&mut self) -> &mut Counts;

    /// Opens accounts, up to so many.
    fn fill(&mut self, count: u64);

    /// Changes the account that a message is for.
    fn touch(&mut self, number: u64);

    /// How many accounts there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_comes_twice_is_seen() {
        let mut counts = Counts::default();
        for (number, late) in [(1, 5), (2, 9), (2, 1), (5, 1), (4, 1)] {
            counts.note(number, Duration::from_nanos(late));
        }
        assert_eq!((counts.count, counts.lost, counts.late), (5, 2, 2));
        assert_eq!(counts.take_worst(), Duration::from_nanos(9));
        assert_eq!(counts.take_worst(), Duration::ZERO);
    }
}
