//! The directives in a case's `old.c`: comments of the form `//#Name: value`, each on its own line.
//!
//! | directive | meaning (default) |
//! |---|---|
//! | `Cflags: …` | compiler flags (`-O2`) |
//! | `Link: …` | how the program is linked, see [`Link`] (`pie`) |
//! | `Strip: …` | `all`: no symbol table; `debugfile`: it lies in a debug file below `debug`, by build ID |
//! | `Target` | `patchgen` is given `--target` |
//! | `Patchgen: …` / `Apply: …` | more arguments |
//! | `OldHas: …` | text that `readelf -Wrs old.o` must contain, so that the case tests what it says |
//! | `Ask: …` | the question put to the process (`40`) |
//! | `ExpectBefore: …`, `ExpectOutput: …`, `AfterRevert: …` | answers; repeated: of as many questions in a row (`AfterRevert`: as before) |
//! | `NoChange` | `patchgen` finds no functional change |
//! | `PatchgenRefuses: …` / `ApplyRefuses: …` | refused with this text, and the process is left as it was |

use anyhow::{Context, Result, bail, ensure};

/// How the program under test is linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Position-independent executable.
    #[default]
    Pie,
    /// Executable at a fixed address.
    NoPie,
    /// Static executable at a fixed address.
    Static,
    /// Static position-independent executable.
    StaticPie,
    /// The case is a shared library of the process.
    Shared,
    /// Position-independent executable with the musl C library.
    Musl,
}

impl Link {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "pie" => Self::Pie,
            "no-pie" => Self::NoPie,
            "static" => Self::Static,
            "static-pie" => Self::StaticPie,
            "shared" => Self::Shared,
            "musl" => Self::Musl,
            other => bail!("unknown way to link: `{other}`"),
        })
    }

    /// The flags to compile with.
    #[must_use]
    pub fn compile_flags(self) -> &'static [&'static str] {
        match self {
            Self::Pie | Self::StaticPie | Self::Musl => &["-fPIE"],
            Self::NoPie | Self::Static => &["-fno-pie"],
            Self::Shared => &["-fPIC"],
        }
    }

    /// The flags to link the executable with.
    #[must_use]
    pub fn link_flags(self) -> &'static [&'static str] {
        match self {
            Self::Pie | Self::Musl | Self::Shared => &["-pie"],
            Self::NoPie => &["-no-pie"],
            Self::Static => &["-static", "-no-pie"],
            Self::StaticPie => &["-static-pie"],
        }
    }

    /// The compiler driver.
    #[must_use]
    pub fn compiler(self) -> &'static str {
        match self {
            Self::Musl => "musl-gcc",
            _ => "gcc",
        }
    }
}

/// What is stripped from the running program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strip {
    /// Nothing.
    #[default]
    Nothing,
    /// All symbols but the dynamic ones.
    All,
    /// As [`Strip::All`], with the symbols in a separate file below the directory `debug`.
    DebugFile,
}

/// What should come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The patch is applied and reverted.
    Patched,
    /// `patchgen` exits 3 and writes nothing.
    NoChange,
    /// `patchgen` exits 4 with this text.
    PatchgenRefuses(String),
    /// `livepatch apply` exits 4 with this text.
    ApplyRefuses(String),
}

/// The directives of one case.
#[derive(Clone, Debug)]
pub struct Directives {
    /// Compiler flags, split at blanks.
    pub cflags: Vec<String>,
    /// How the program is linked.
    pub link: Link,
    /// What is stripped.
    pub strip: Strip,
    /// Whether `patchgen` gets `--target`.
    pub target: bool,
    /// More arguments for `patchgen`.
    pub patchgen: Vec<String>,
    /// More arguments for `livepatch apply`.
    pub apply: Vec<String>,
    /// Texts that `readelf -Wrs old.o` contains.
    pub old_has: Vec<String>,
    /// The question.
    pub ask: String,
    /// Answers before the patch.
    pub before: Vec<String>,
    /// Answers with the patch.
    pub output: Vec<String>,
    /// Answers after the revert.
    pub after: Vec<String>,
    /// What should come of it.
    pub outcome: Outcome,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            cflags: vec!["-O2".to_owned()],
            link: Link::default(),
            strip: Strip::default(),
            target: false,
            patchgen: Vec::new(),
            apply: Vec::new(),
            old_has: Vec::new(),
            ask: "40".to_owned(),
            before: Vec::new(),
            output: Vec::new(),
            after: Vec::new(),
            outcome: Outcome::Patched,
        }
    }
}

impl Directives {
    /// Reads the directives of a source file.
    ///
    /// # Errors
    /// When one is unknown, or the expectations are incomplete.
    pub fn parse(source: &str) -> Result<Self> {
        let mut directives = Self::default();
        for line in source.lines().filter_map(|line| line.strip_prefix("//#")) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            directives
                .set(name.trim(), value.trim())
                .with_context(|| format!("in the directive `//#{line}`"))?;
        }
        ensure!(!directives.before.is_empty(), "no `//#ExpectBefore`");
        ensure!(
            directives.outcome != Outcome::Patched || !directives.output.is_empty(),
            "no `//#ExpectOutput`"
        );
        if directives.after.is_empty() {
            directives.after.clone_from(&directives.before);
        }
        Ok(directives)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match name {
            "Cflags" => self.cflags = words(),
            "Link" => self.link = Link::parse(value)?,
            "Strip" if value == "all" => self.strip = Strip::All,
            "Strip" if value == "debugfile" => self.strip = Strip::DebugFile,
            "Target" => self.target = true,
            "Patchgen" => self.patchgen = words(),
            "Apply" => self.apply = words(),
            "OldHas" => self.old_has.push(value.to_owned()),
            "Ask" => self.ask = value.to_owned(),
            "ExpectBefore" => self.before.push(value.to_owned()),
            "ExpectOutput" => self.output.push(value.to_owned()),
            "AfterRevert" => self.after.push(value.to_owned()),
            "NoChange" => self.outcome = Outcome::NoChange,
            "PatchgenRefuses" => self.outcome = Outcome::PatchgenRefuses(value.to_owned()),
            "ApplyRefuses" => self.outcome = Outcome::ApplyRefuses(value.to_owned()),
            _ => bail!("there is no such directive"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() -> Result<()> {
        let read = Directives::parse(
            "//#Link: static\n//#ExpectBefore: 1\n//#ExpectBefore: 2\n//#ExpectOutput: 3\nint x;\n",
        )?;
        assert_eq!(read.link, Link::Static);
        assert_eq!(read.after, ["1", "2"]);
        assert_eq!(read.outcome, Outcome::Patched);
        Ok(())
    }

    #[test]
    fn a_misspelt_directive_is_an_error() {
        assert!(Directives::parse("//#ExpectOutptu: 1\n").is_err());
    }

    #[test]
    fn a_case_without_expectation_is_an_error() {
        assert!(Directives::parse("int x;\n").is_err());
    }
}
