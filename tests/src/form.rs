//! The forms of the matrix: compiler, level of optimisation, sections, language.

use anyhow::{Context, Result};
use std::fmt;
use std::str::FromStr;

/// A way to compile a case: `gcc-c-O2-sections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// Who compiles.
    pub compiler: Compiler,
    /// What a case written in C is taken for.
    pub language: Language,
    /// `-O0`, `-O2` or `-O3`.
    pub level: Level,
    /// Whether the objects given to `patchgen` have a section for each function and variable.
    pub sections: bool,
}

/// A compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compiler {
    /// GNU.
    Gcc,
    /// LLVM.
    Clang,
}

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// C.
    C,
    /// C++.
    Cxx,
}

/// A level of optimisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `-O0`.
    O0,
    /// `-O2`.
    O2,
    /// `-O3`.
    O3,
}

impl Form {
    /// All forms, in the order of the columns of the table.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut forms = Vec::new();
        for compiler in [Compiler::Gcc, Compiler::Clang] {
            for language in [Language::C, Language::Cxx] {
                for level in [Level::O0, Level::O2, Level::O3] {
                    forms.extend([true, false].map(|sections| Self {
                        compiler,
                        language,
                        level,
                        sections,
                    }));
                }
            }
        }
        forms
    }

    /// Whether the form has the property `word`: `gcc`, `clang`, `c`, `c++`, `O0`, `O2`, `O3`, `sections`, `no-sections`.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        self.words().contains(&word)
    }

    fn words(&self) -> [&'static str; 4] {
        [
            match self.compiler {
                Compiler::Gcc => "gcc",
                Compiler::Clang => "clang",
            },
            match self.language {
                Language::C => "c",
                Language::Cxx => "c++",
            },
            match self.level {
                Level::O0 => "O0",
                Level::O2 => "O2",
                Level::O3 => "O3",
            },
            if self.sections {
                "sections"
            } else {
                "no-sections"
            },
        ]
    }

    /// The compiler's option for the level.
    #[must_use]
    pub fn level_flag(&self) -> &'static str {
        match self.level {
            Level::O0 => "-O0",
            Level::O2 => "-O2",
            Level::O3 => "-O3",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join("-"))
    }
}

impl FromStr for Form {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut forms = Self::all().into_iter();
        forms
            .find(|form| form.to_string() == text)
            .with_context(|| format!("there is no form `{text}`; one is `gcc-c-O2-sections`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_are_written() -> Result<()> {
        let all = Form::all();
        assert_eq!(all.len(), 24);
        for form in all {
            assert_eq!(form.to_string().parse::<Form>()?, form);
        }
        assert!("gcc-O2".parse::<Form>().is_err());
        Ok(())
    }
}
