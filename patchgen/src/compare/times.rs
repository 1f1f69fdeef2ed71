//! The time of the build in strings (`__DATE__`, `__TIME__`): when a tree was compiled is no part of the program.
//!
//! The two macros give `Nov 22 2026` and `04:53:01`. A date of this form counts for itself; a time counts only in an object
//! that holds such a date, since `08:30:00` alone may be a setting.

use crate::object::{Atom, AtomKind, Object};

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
/// `Nov 22 2026`.
const DATE: usize = 11;
/// `04:53:01`.
const TIME: usize = 8;

/// Whether one of the object's strings holds a date of the build.
pub(super) fn is_dated(object: &Object<'_>) -> bool {
    dated(object).next().is_some()
}

/// The object's strings with what may be a date of the build.
pub(crate) fn dated<'o, 'd>(object: &'o Object<'d>) -> impl Iterator<Item = &'d [u8]> + 'o {
    let strings = object.atoms.iter().filter(|atom| is_string(atom));
    let texts = strings.map(|atom| atom.bytes);
    texts.filter(|text| text.windows(DATE).any(is_date))
}

/// Whether two strings of dated objects differ in nothing but the time of the build.
pub(super) fn is_same_but_time(a: &Atom<'_>, b: &Atom<'_>) -> bool {
    is_string(a)
        && is_string(b)
        && a.bytes.len() == b.bytes.len()
        && blanked(a.bytes) == blanked(b.bytes)
}

fn is_string(atom: &Atom<'_>) -> bool {
    atom.kind == AtomKind::String
}

fn blanked(text: &[u8]) -> Vec<u8> {
    let mut blanked = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let taken = if rest.get(..DATE).is_some_and(is_date) {
            DATE
        } else if rest.get(..TIME).is_some_and(is_time) {
            TIME
        } else {
            0
        };
        blanked.push(if taken == 0 { *first } else { b'\0' });
        rest = &rest[taken.max(1)..];
    }
    blanked
}

fn is_date(text: &[u8]) -> bool {
    let [month @ .., _, _, _, _, _, _, _, _] = text else {
        return false;
    };
    let digit = |at: usize| text[at].is_ascii_digit();
    MONTHS.iter().any(|name| month == name.as_slice())
        && text[3] == b' '
        && (text[4] == b' ' || digit(4))
        && digit(5)
        && text[6] == b' '
        && (7..DATE).all(digit)
}

fn is_time(text: &[u8]) -> bool {
    let pair = |at: usize, below: u8| {
        let digits = text[at].is_ascii_digit() && text[at + 1].is_ascii_digit();
        digits && (text[at] - b'0') * 10 + (text[at + 1] - b'0') < below
    };
    text[2] == b':' && text[5] == b':' && pair(0, 24) && pair(3, 60) && pair(6, 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_blanked_and_nothing_else() {
        assert_eq!(blanked(b"on Nov 22 2026 at 04:53:01."), b"on \0 at \0.");
        assert_eq!(blanked(b"Jan  1 2025"), b"\0");
        for text in [
            &b"Nov 22 26"[..],
            b"25:00:00",
            b"10:60:00",
            b"NovA22 2026",
            b"1:2:3",
        ] {
            assert_eq!(blanked(text), text);
        }
    }
}
