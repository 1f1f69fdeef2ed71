//! Work on all processors, where there is enough of it.
//!
//! Starting threads takes about as long as comparing a pair of 100 KiB.

use rayon::prelude::*;

/// Bytes of input from which on threads are worth their start.
const WORTH: usize = 256 << 10;

/// `work` on each item, several at once if the items together have many bytes; results in the items' order.
pub(crate) fn map<'i, T: Sync, R: Send>(
    items: &'i [T],
    bytes: impl Fn(&T) -> usize,
    work: impl Fn(&'i T) -> R + Sync + Send,
) -> Vec<R> {
    if items.len() < 2 || items.iter().map(bytes).sum::<usize>() < WORTH {
        return items.iter().map(work).collect();
    }
    items.par_iter().map(work).collect()
}

/// Both results, worked out at the same time if there are many bytes to work on.
pub(crate) fn join<A: Send, B: Send>(
    bytes: usize,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    if bytes < WORTH {
        return (first(), second());
    }
    rayon::join(first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_with_and_without_threads() {
        let items: Vec<usize> = (0..100).collect();
        for bytes in [1, WORTH] {
            let squares = map(&items, |_| bytes, |item| item * item);
            assert_eq!(squares[99], 99 * 99);
            assert_eq!(join(bytes, || squares[2], || squares[3]), (4, 9));
        }
    }
}
