//! Text that a target chose, made fit for a terminal and a log.
//!
//! A process names itself, its threads, its files and its symbols. An escape sequence in such a name could make a terminal
//! do things, a line feed could forge a line of a log, and a mark of writing direction could show a name as another.

use std::borrow::Cow;

/// Whether a character must not reach a terminal: controls (C0, DEL, C1), separators of lines, and marks that turn the
/// direction of writing (Unicode Standard Annex 9).
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A name on one line: what is harmful is shown as its code, `\u{1b}`.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful, |c| c.escape_unicode().to_string())
}

/// A text of several lines, in which line feeds are ours.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    let harmful = |c| c != '\n' && is_harmful(c);
    escaped(text, harmful, |c| c.escape_unicode().to_string())
}

/// A JSON text, in which such characters stand only within strings: `\u001b`.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful, |c| {
        // All of them lie in the basic plane.
        format!("\\u{:04x}", u32::from(c))
    })
}

fn escaped(text: &str, harmful: impl Fn(char) -> bool, shown: fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match harmful(c) {
            true => out.push_str(&shown(c)),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_as_its_code() {
        assert_eq!(one_line("a\x1b[2J\nb"), "a\\u{1b}[2J\\u{a}b");
        assert_eq!(lines("a\x1b\nb\u{9b}"), "a\\u{1b}\nb\\u{9b}");
        assert_eq!(one_line("exe\u{202e}cod"), "exe\\u{202e}cod");
        assert!(matches!(one_line("größer"), Cow::Borrowed("größer")));
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::to_string("\u{9b}\u{7f}\u{202e}\x1b\"").expect("a string");
        let shown = json(&text);
        assert!(!shown.chars().any(is_harmful), "{shown}");
        let back: String = serde_json::from_str(&shown).expect("still JSON");
        assert_eq!(back, "\u{9b}\u{7f}\u{202e}\x1b\"");
    }
}
