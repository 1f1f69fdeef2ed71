//! Source lines of new code, for debuggers: files, and for each function a text of rows.
//!
//! A row is `OFFSET:LINE` or, where the file changes, `OFFSET:LINE:FILE`: the offset of its first instruction in the function, from zero
//! and ascending, hexadecimal; the line from 1, and the file's index, decimal. Rows are separated by spaces; the first has a file.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The lines of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// Paths of source files, as the compiler was given them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The functions that have any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionLines>,
}

/// The lines of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionLines {
    /// Bundle symbol of the new code.
    pub symbol: String,
    /// [`Row`]s as text.
    pub rows: String,
}

/// From here on the code is of this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Offset in the function.
    pub offset: u64,
    /// Line, from 1.
    pub line: u32,
    /// Index into [`Lines::files`].
    pub file: usize,
}

impl Lines {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.functions.is_empty()
    }
}

impl FunctionLines {
    /// Writes rows down.
    #[must_use]
    pub fn new(symbol: String, rows: &[Row]) -> Self {
        let (mut text, mut file) = (String::new(), None);
        for row in rows {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a text cannot fail.
            let _ = write!(text, "{space}{:x}:{}", row.offset, row.line);
            if file != Some(row.file) {
                let _ = write!(text, ":{}", row.file);
                file = Some(row.file);
            }
        }
        Self { symbol, rows: text }
    }

    /// The rows; `None` when the text is not as the module says.
    #[must_use]
    pub fn rows(&self) -> Option<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        for text in self.rows.split(' ') {
            let mut fields = text.split(':');
            let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
            let line = fields.next()?.parse().ok().filter(|line| *line > 0)?;
            let file = match fields.next() {
                Some(file) => file.parse().ok()?,
                None => rows.last()?.file,
            };
            let ascends = rows.last().is_none_or(|last| last.offset < offset);
            if !ascends || fields.next().is_some() {
                return None;
            }
            rows.push(Row { offset, line, file });
        }
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_round_trip() {
        let row = |offset, line, file| Row { offset, line, file };
        let rows = [
            row(0, 7, 0),
            row(0x1f, 9, 0),
            row(0x20, 3, 1),
            row(0x24, 9, 0),
        ];
        let written = FunctionLines::new("f".into(), &rows);
        assert_eq!(written.rows, "0:7:0 1f:9 20:3:1 24:9:0");
        assert_eq!(written.rows().as_deref(), Some(&rows[..]));
    }

    #[test]
    fn other_texts_are_none() {
        let rows = |text: &str| {
            FunctionLines {
                symbol: "f".into(),
                rows: text.into(),
            }
            .rows()
        };
        for text in [
            "",
            "0:7",
            "0:0:0",
            "4:7:0 4:8",
            "0:7:0:0",
            "x:7:0",
            "0:7:0  1:8",
            "0:99999999999:0",
        ] {
            assert_eq!(rows(text), None, "{text}");
        }
    }
}
