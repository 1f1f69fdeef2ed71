//! Which old instruction stands beside which new one: the longest common subsequence of what they mean.

use super::{Line, Mark, Row};
use std::collections::HashMap;

/// More cells are not computed: what lies between the common beginning and end is then shown as changed.
const CELLS_MAX: usize = 1 << 24;

/// The rows of a listing.
pub(super) fn rows(old: Vec<Line>, new: Vec<Line>) -> Vec<Row> {
    let pairs = common(&old, &new);
    let places: HashMap<u64, u64> = pairs
        .iter()
        .map(|(a, b)| (old[*a].offset, new[*b].offset))
        .collect();
    let mut rows = Vec::new();
    let (mut old, mut new) = (
        old.into_iter().enumerate().peekable(),
        new.into_iter().enumerate().peekable(),
    );
    for (a, b) in pairs.into_iter().chain([(usize::MAX, usize::MAX)]) {
        let mut gone = Vec::new();
        while let Some((_, line)) = old.next_if(|(index, _)| *index < a) {
            gone.push(line);
        }
        let mut come = Vec::new();
        while let Some((_, line)) = new.next_if(|(index, _)| *index < b) {
            come.push(line);
        }
        between(gone, come, &mut rows);
        if let (Some((_, one)), Some((_, other))) = (old.next(), new.next()) {
            let same = match (one.jump, other.jump) {
                (Some(from), Some(to)) => places.get(&from) == Some(&to),
                (from, to) => from == to,
            };
            let mark = if same { Mark::Same } else { Mark::Changed };
            rows.push(Row {
                mark,
                old: Some(one),
                new: Some(other),
            });
        }
    }
    rows
}

/// Lines that have no counterpart, beside each other.
fn between(old: Vec<Line>, new: Vec<Line>, rows: &mut Vec<Row>) {
    let (mut old, mut new) = (old.into_iter(), new.into_iter());
    loop {
        let (one, other) = (old.next(), new.next());
        let mark = match (&one, &other) {
            (Some(_), Some(_)) => Mark::Changed,
            (Some(_), None) => Mark::Removed,
            (None, Some(_)) => Mark::Added,
            (None, None) => return,
        };
        rows.push(Row {
            mark,
            old: one,
            new: other,
        });
    }
}

/// Indices of lines with the same meaning, ascending on both sides.
fn common(old: &[Line], new: &[Line]) -> Vec<(usize, usize)> {
    let same = |a: usize, b: usize| old[a].meaning == new[b].meaning;
    let shorter = old.len().min(new.len());
    let head = (0..shorter)
        .take_while(|index| same(*index, *index))
        .count();
    let tail = (0..shorter - head)
        .take_while(|back| same(old.len() - 1 - back, new.len() - 1 - back))
        .count();
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|index| (index, index)).collect();
    let (rows, columns) = (old.len() - head - tail, new.len() - head - tail);
    if rows.saturating_mul(columns) <= CELLS_MAX {
        let middle = longest(rows, columns, |a, b| same(head + a, head + b));
        pairs.extend(middle.into_iter().map(|(a, b)| (head + a, head + b)));
    }
    pairs.extend(
        (0..tail)
            .rev()
            .map(|back| (old.len() - 1 - back, new.len() - 1 - back)),
    );
    pairs
}

fn longest(
    rows: usize,
    columns: usize,
    same: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let width = columns + 1;
    // lengths[a * width + b]: of the longest common subsequence of what follows a and b
    let mut lengths = vec![0u32; (rows + 1) * width];
    for a in (0..rows).rev() {
        for b in (0..columns).rev() {
            lengths[a * width + b] = if same(a, b) {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < rows && b < columns {
        if same(a, b) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}
