//! The table of expected verdicts: a row for each case, a letter for each form.

use super::{Cell, Verdict};
use crate::form::{Compiler, Form, Language, Level};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const HEAD: &str = "\
# What comes of each case in each form. `livepatch-matrix --bless` writes this file.
#
# P patched and reverted   = no functional change   g refused by patchgen   a refused by livepatch
# - not asked   . no valid program in this form   ! failed
#
# Each group: sections and no sections.
";

/// Verdicts by case and form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(BTreeMap<String, Vec<char>>);

impl Table {
    /// Where the table is kept.
    #[must_use]
    pub fn path() -> PathBuf {
        crate::tools::tests_directory().join("matrix/expected.txt")
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When a row has not a letter for each form.
    pub fn parse(text: &str) -> Result<Self> {
        let mut table = Self::default();
        let count = Form::all().len();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (case, letters) = line.split_once(' ').context("a row without letters")?;
            let letters: Vec<char> = letters.chars().filter(|c| !c.is_whitespace()).collect();
            ensure!(letters.len() == count, "`{case}` has not {count} letters");
            table.0.insert(case.to_owned(), letters);
        }
        Ok(table)
    }

    /// The expected letter of a cell; `None` for a case that the table does not know.
    #[must_use]
    pub fn get(&self, cell: &Cell) -> Option<char> {
        let column = Form::all().into_iter().position(|form| form == cell.form)?;
        self.0.get(&cell.case)?.get(column).copied()
    }

    /// Enters a verdict.
    pub fn set(&mut self, cell: &Cell, verdict: &Verdict) {
        let forms = Form::all();
        let letters = self.0.entry(cell.case.clone());
        let letters = letters.or_insert_with(|| vec!['?'; forms.len()]);
        if let Some(column) = forms.into_iter().position(|form| form == cell.form) {
            letters[column] = verdict.letter();
        }
    }

    /// Leaves out all cases but `names`.
    pub fn keep(&mut self, names: &[String]) {
        self.0.retain(|case, _| names.contains(case));
    }

    /// The cases that the table has and `names` has not.
    #[must_use]
    pub fn others(&self, names: &[String]) -> Vec<String> {
        let cases = self.0.keys().filter(|case| !names.contains(case));
        cases.cloned().collect()
    }

    /// The table as text, as [`Table::parse`] reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let width = self.0.keys().map(String::len).max().unwrap_or(0).max(8);
        let mut text = HEAD.to_owned();
        for line in headings() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# {:2$}{}", "", line, width - 1);
        }
        for (case, letters) in &self.0 {
            let groups: Vec<String> = letters.chunks(2).map(String::from_iter).collect();
            let _ = writeln!(text, "{case:width$} {}", groups.join(" "));
        }
        text
    }
}

/// Three lines: compiler, language, level.
fn headings() -> [String; 3] {
    let mut lines = [String::new(), String::new(), String::new()];
    for form in Form::all().into_iter().step_by(2) {
        let first_of_language = form.level == Level::O0;
        let first_of_compiler = first_of_language && form.language == Language::C;
        let compiler = match form.compiler {
            Compiler::Gcc => "gcc",
            Compiler::Clang => "cl.",
        };
        let language = match form.language {
            Language::C => "C",
            Language::Cxx => "C++",
        };
        let words = [
            if first_of_compiler { compiler } else { "" },
            if first_of_language { language } else { "" },
            &form.level_flag()[1..],
        ];
        for (line, word) in lines.iter_mut().zip(words) {
            let _ = write!(line, "{word:3}");
        }
    }
    lines.map(|line| line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample would hit on it some day.
    #[test]
    fn every_case_is_in_the_table() -> Result<()> {
        let table = Table::parse(&std::fs::read_to_string(Table::path())?)?;
        let known = |case: &String| table.0.get(case).is_some_and(|row| !row.contains(&'?'));
        let cases = crate::matrix::cases()?.into_iter();
        let missing: Vec<String> = cases.filter(|case| !known(case)).collect();
        ensure!(
            missing.is_empty(),
            "`livepatch-matrix --bless --case` {missing:?}"
        );
        Ok(())
    }

    #[test]
    fn a_table_is_read_as_it_is_written() -> Result<()> {
        let mut table = Table::default();
        for form in Form::all() {
            let case = "changed_body".to_owned();
            table.set(&Cell { case, form }, &Verdict::Patched);
        }
        let read = Table::parse(&table.text())?;
        assert_eq!(read, table);
        let case = "changed_body".to_owned();
        let form = Form::all()[3];
        assert_eq!(read.get(&Cell { case, form }), Some('P'));
        assert!(Table::parse("short PP\n").is_err());
        Ok(())
    }
}
