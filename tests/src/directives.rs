//! The directives in a case's old version: comments of the form `//#Name: value`, each on its own line.
//!
//! | directive | meaning (default) |
//! |---|---|
//! | `Compiler: …` | `gcc` or `clang` (`gcc`) |
//! | `Cflags: …` | compiler flags (`-O2`) |
//! | `NewCflags: …` | those of the new version where they are others |
//! | `NoSections` | the objects have no section for each function and variable, as those that the program is linked from |
//! | `Pack: …` | what becomes of the objects before `patchgen` reads them, see [`Pack`] |
//! | `Link: …` | how the program is linked, see [`Link`] (`pie`) |
//! | `Libraries: …` | what the program is linked with beside the C library, in place of what the compiler adds |
//! | `Strip: …` | `all`: no symbol table; `debugfile`: it lies in a debug file below `debug`, by build ID |
//! | `Target` | `patchgen` is given `--target` |
//! | `Patchgen: …` / `Apply: …` | more arguments |
//! | `OldHas: …` | text that `readelf -Wrs old.o` must contain, so that the case tests what it says |
//! | `Ask: …` | the question put to the process (`40`) |
//! | `ExpectBefore: …`, `ExpectOutput: …`, `AfterRevert: …` | answers; repeated: of as many questions in a row (`AfterRevert`: as before) |
//! | `Kept` | the patch's memory stays after the revert: something that nobody clears still points there |
//! | `NoChange` | `patchgen` finds no functional change |
//! | `PatchgenRefuses: …` / `ApplyRefuses: …` | refused with this text, and the process is left as it was |
//! | `Patched` | what the others say does not hold (after `In …`) |
//! | `Forms: …` | the matrix takes only forms with all of these properties; `none`: the case is no part of it |
//! | `In WORD…: DIRECTIVE` | the directive holds in forms of the matrix with all of these properties |

use crate::form::{Compiler, Form, Language};
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
}

/// What becomes of a case's objects before `patchgen` reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pack {
    /// Nothing.
    #[default]
    Nothing,
    /// They are put into an archive, together with the case's helpers.
    Archive,
    /// They are linked with the case's helpers by `ld -r`, and so is the program.
    Partial,
    /// Link-time optimisation: they are what the link step compiled (`-save-temps`).
    LinkStep,
}

impl Pack {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "archive" => Self::Archive,
            "partial" => Self::Partial,
            "link-step" => Self::LinkStep,
            other => bail!("unknown way to pack: `{other}`"),
        })
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
    /// Who compiles.
    pub compiler: Compiler,
    /// What a file `….c` is taken for.
    pub language: Language,
    /// Compiler flags, split at blanks.
    pub cflags: Vec<String>,
    /// Those of the new version where they are others.
    pub new_cflags: Option<Vec<String>>,
    /// Whether the objects have a section for each function and variable.
    pub sections: bool,
    /// What becomes of the objects.
    pub pack: Pack,
    /// Properties of the forms that the matrix takes; `None`: it takes none.
    pub forms: Option<Vec<String>>,
    /// How the program is linked.
    pub link: Link,
    /// What is stripped.
    pub strip: Strip,
    /// What it is linked with.
    pub libraries: Vec<String>,
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
    /// Whether the memory stays after the revert.
    pub kept: bool,
    /// What should come of it.
    pub outcome: Outcome,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            compiler: Compiler::Gcc,
            language: Language::C,
            cflags: vec!["-O2".to_owned()],
            new_cflags: None,
            sections: true,
            pack: Pack::default(),
            forms: Some(Vec::new()),
            link: Link::default(),
            strip: Strip::default(),
            libraries: Vec::new(),
            target: false,
            patchgen: Vec::new(),
            apply: Vec::new(),
            old_has: Vec::new(),
            ask: "40".to_owned(),
            before: Vec::new(),
            output: Vec::new(),
            after: Vec::new(),
            kept: false,
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
        Self::parse_for(source, None)
    }

    /// Reads the directives of a source file as they hold in a form of the matrix.
    ///
    /// # Errors
    /// When one is unknown, or the expectations are incomplete.
    pub fn parse_for(source: &str, form: Option<&Form>) -> Result<Self> {
        let mut directives = Self::default();
        let lines = source.lines().filter_map(|line| line.strip_prefix("//#"));
        // What holds in some forms goes before what holds in all.
        let (special, general): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| line.starts_with("In "));
        for line in general.into_iter().chain(special) {
            directives
                .line(line, form)
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
        form.into_iter().for_each(|form| directives.take_form(form));
        Ok(directives)
    }

    /// Whether the matrix takes the case in this form.
    #[must_use]
    pub fn takes(&self, form: &Form) -> bool {
        let words = self.forms.as_ref();
        words.is_some_and(|words| words.iter().all(|word| form.is(word)))
    }

    fn line(&mut self, line: &str, form: Option<&Form>) -> Result<()> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let (name, value) = (name.trim(), value.trim());
        let Some(words) = name.strip_prefix("In ") else {
            return self.set(name, value);
        };
        let mut scratch = self.clone();
        let (inner, text) = value.split_once(':').unwrap_or((value, ""));
        // What does not hold here must be well-formed, too.
        scratch.set(inner.trim(), text.trim())?;
        if form.is_some_and(|form| words.split_whitespace().all(|word| form.is(word))) {
            *self = scratch;
        }
        Ok(())
    }

    fn take_form(&mut self, form: &Form) {
        (self.compiler, self.language) = (form.compiler, form.language);
        self.sections = form.sections;
        for flags in std::iter::once(&mut self.cflags).chain(&mut self.new_cflags) {
            flags.retain(|flag| !flag.starts_with("-O"));
            flags.push(form.level_flag().to_owned());
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match name {
            "Compiler" if value == "gcc" => self.compiler = Compiler::Gcc,
            "Compiler" if value == "clang" => self.compiler = Compiler::Clang,
            "Cflags" => self.cflags = words(),
            "NewCflags" => self.new_cflags = Some(words()),
            "NoSections" => self.sections = false,
            "Pack" => self.pack = Pack::parse(value)?,
            "Forms" if value == "none" => self.forms = None,
            "Forms" => self.forms = Some(words()),
            "Patched" => self.outcome = Outcome::Patched,
            "Link" => self.link = Link::parse(value)?,
            "Libraries" => self.libraries = words(),
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
            "Kept" => self.kept = true,
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
    fn a_form_of_the_matrix_has_its_own_expectations() -> Result<()> {
        let source = "//#Cflags: -O1 -g\n//#ExpectBefore: 1\n//#ExpectOutput: 2\n\
                      //#In clang O0: ApplyRefuses: too: short\n";
        let refused = Directives::parse_for(source, Some(&"clang-c-O0-sections".parse()?))?;
        assert_eq!(refused.outcome, Outcome::ApplyRefuses("too: short".into()));
        assert_eq!(refused.cflags, ["-g", "-O0"]);
        let patched = Directives::parse_for(source, Some(&"gcc-c-O0-no-sections".parse()?))?;
        assert_eq!(patched.outcome, Outcome::Patched);
        assert!(!patched.sections);
        Ok(())
    }

    #[test]
    fn a_misspelt_directive_is_an_error() {
        assert!(Directives::parse("//#ExpectOutptu: 1\n").is_err());
        assert!(Directives::parse("//#ExpectBefore: 1\n//#In clang: NoChagne\n").is_err());
    }

    #[test]
    fn a_case_without_expectation_is_an_error() {
        assert!(Directives::parse("int x;\n").is_err());
    }
}
