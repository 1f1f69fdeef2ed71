//! The listing for a terminal: two columns as wide as it allows, or one where that is too narrow.

use super::{Line, Mark, Piece, Row};
use std::fmt::Write as _;

/// Narrower terminals get one column.
const TWO_COLUMNS_MIN: usize = 72;

/// How a listing is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether changed instructions are coloured.
    pub colours: bool,
}

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours && !text.trim().is_empty() {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// The sign between the columns.
#[must_use]
pub fn sign(mark: Mark) -> char {
    match mark {
        Mark::Same => ' ',
        Mark::Changed => '|',
        Mark::Removed => '<',
        Mark::Added => '>',
    }
}

/// Writes the listing.
#[must_use]
pub fn render(pieces: &[Piece], style: Style) -> String {
    let mut out = String::new();
    for piece in pieces {
        let changed = piece
            .rows
            .iter()
            .filter(|row| row.mark != Mark::Same)
            .count();
        let object = if piece.object.is_empty() {
            String::new()
        } else {
            format!(" in {}", piece.object)
        };
        let title = format!(
            "{}{object}: {changed} of {} lines changed",
            piece.name,
            piece.rows.len()
        );
        let _ = writeln!(out, "{}", style.paint(BOLD, &fit(&title, style.width)));
        for row in &piece.rows {
            if style.width < TWO_COLUMNS_MIN {
                one_column(&mut out, row, style);
            } else {
                two_columns(&mut out, row, style);
            }
            for line in row.old.iter().chain(&row.new) {
                if let Some(other) = &line.disagreement {
                    let _ = writeln!(
                        out,
                        "! +{:#x}: capstone reads {} as `{other}`",
                        line.offset,
                        hex::encode(&line.bytes)
                    );
                }
            }
        }
        out.push('\n');
    }
    out
}

fn two_columns(out: &mut String, row: &Row, style: Style) {
    let column = (style.width - 3) / 2;
    let cell = |line: &Option<Line>| {
        let text = line.as_ref().map_or(String::new(), text);
        format!("{:<column$}", fit(&text, column))
    };
    let (old, new) = (cell(&row.old), cell(&row.new));
    let (old, new) = match row.mark {
        Mark::Same => (old, new),
        _ => (style.paint(RED, &old), style.paint(GREEN, &new)),
    };
    let _ = writeln!(
        out,
        "{}",
        format!("{old} {} {new}", sign(row.mark)).trim_end()
    );
}

fn one_column(out: &mut String, row: &Row, style: Style) {
    let mut write = |sign: char, colour: &str, line: &Option<Line>| {
        if let Some(line) = line {
            let text = fit(&format!("{sign} {}", text(line)), style.width);
            let _ = writeln!(out, "{}", style.paint(colour, &text));
        }
    };
    if row.mark == Mark::Same {
        write(' ', "", &row.new);
    } else {
        write('-', RED, &row.old);
        write('+', GREEN, &row.new);
    }
}

fn text(line: &Line) -> String {
    format!("{:>6}  {}", format!("{:x}", line.offset), line.text)
}

/// The text, cut where it is too long. Names may hold any characters; each counts as one column.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{cut}…")
}
