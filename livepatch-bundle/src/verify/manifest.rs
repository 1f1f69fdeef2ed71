//! Rules of the manifest, and of what it says about the symbols.

use super::{Problems, is_name};
use crate::{
    Bundle, Function, Manifest, Problem, Reference, SCHEMA, SectionKind, Symbol, SymbolId,
};
use std::collections::{HashMap, HashSet};

/// More hooks than any patch has: each may take seconds.
pub(crate) const MAX_HOOKS: usize = 64;

pub(super) fn check(bundle: &Bundle, problems: &mut Problems) {
    let manifest = &bundle.manifest;
    head(manifest, problems);
    texts(manifest, problems);
    modules(manifest, problems);
    let index = Index::new(bundle);
    references(&index, problems);
    functions(&index, problems);
    for symbol in &manifest.quiesce {
        problems.unless(index.is_running(symbol), || Problem::Quiesce {
            symbol: symbol.clone(),
        });
    }
    hooks(&index, problems);
    lines(&index, problems);
}

/// Symbols and references by name.
struct Index<'a> {
    bundle: &'a Bundle,
    symbols: HashMap<&'a str, SymbolId>,
    references: HashSet<&'a str>,
}

impl<'a> Index<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        let named =
            |(number, symbol): (usize, &'a Symbol)| (symbol.name.as_str(), SymbolId(number));
        let references = bundle.manifest.references.iter();
        Self {
            bundle,
            symbols: bundle.symbols.iter().enumerate().map(named).collect(),
            references: references.map(|entry| entry.symbol.as_str()).collect(),
        }
    }

    fn symbol(&self, name: &str) -> Option<&'a Symbol> {
        self.symbols.get(name).map(|id| &self.bundle.symbols[id.0])
    }

    /// Whether the name is an undefined symbol that the manifest explains.
    fn is_running(&self, name: &str) -> bool {
        self.symbol(name)
            .is_some_and(|symbol| symbol.definition.is_none())
            && self.references.contains(name)
    }

    /// Kind of the section that defines the symbol, and the symbol's size.
    fn defined_in(&self, name: &str) -> Option<(SectionKind, u64)> {
        let definition = self.symbol(name)?.definition?;
        let section = self.bundle.sections.get(definition.section.0)?;
        Some((section.kind, definition.size))
    }
}

fn head(manifest: &Manifest, problems: &mut Problems) {
    problems.unless(manifest.schema == SCHEMA, || Problem::Schema {
        found: manifest.schema,
    });
    let own = std::iter::once(("patch name", &manifest.name));
    let others = manifest
        .supersedes
        .iter()
        .map(|name| ("superseded patch", name));
    for (what, name) in own.chain(others) {
        problems.unless(is_patch_name(name), || Problem::PatchName {
            what,
            name: name.clone(),
        });
    }
}

/// Whether a patch may have this name: 1 to 63 letters, digits and `._+-`, since it names a memory file of the target.
#[must_use]
pub fn is_patch_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// Texts end up on terminals: lines and tabs, nothing that steers.
fn texts(manifest: &Manifest, problems: &mut Problems) {
    let one = [
        ("tool", &manifest.tool),
        ("description", &manifest.description),
    ];
    let warnings = manifest.warnings.iter().map(|text| ("warning", text));
    let functions = manifest.functions.iter().chain(&manifest.anchors);
    let of_functions = functions.flat_map(|function| {
        let source = function
            .source
            .iter()
            .map(|text| ("source file name", text));
        [
            ("reason", &function.reason),
            ("object file name", &function.object),
        ]
        .into_iter()
        .chain(source)
    });
    let sonames = manifest
        .modules
        .iter()
        .filter_map(|module| module.soname.as_ref());
    let sources = manifest
        .references
        .iter()
        .filter_map(|entry| entry.source.as_ref());
    let rest = sonames.map(|text| ("soname", text));
    let rest = rest.chain(sources.map(|text| ("source file name", text)));
    for (what, text) in one
        .into_iter()
        .chain(warnings)
        .chain(of_functions)
        .chain(rest)
    {
        let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
        problems.unless(!text.chars().any(steers), || Problem::Text { what });
    }
}

fn modules(manifest: &Manifest, problems: &mut Problems) {
    for module in &manifest.modules {
        let name = &module.file_name;
        problems.unless(is_name(name) && !name.contains('/'), || {
            Problem::ModuleName { name: name.clone() }
        });
    }
}

fn references(index: &Index<'_>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for reference in &index.bundle.manifest.references {
        let symbol = &reference.symbol;
        problems.unless(seen.insert(symbol), || Problem::Duplicate {
            what: "reference",
            name: symbol.clone(),
        });
        problems.unless(index.is_running(symbol), || Problem::ReferenceSymbol {
            symbol: symbol.clone(),
        });
        problems.unless(is_name(&reference.name), || Problem::Name {
            what: "reference",
            name: reference.name.clone(),
        });
        located(reference, index.bundle.manifest.modules.len(), problems);
    }
    for symbol in &index.bundle.symbols {
        let explained = symbol.definition.is_some() || index.references.contains(&*symbol.name);
        problems.unless(explained, || Problem::Unexplained {
            symbol: symbol.name.clone(),
        });
    }
}

fn located(reference: &Reference, modules: usize, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for place in &reference.located {
        let listed = place.module < modules && seen.insert(place.module);
        problems.unless(listed, || Problem::LocatedModule {
            symbol: reference.symbol.clone(),
            module: place.module,
        });
    }
}

fn functions(index: &Index<'_>, problems: &mut Problems) {
    let manifest = &index.bundle.manifest;
    let mut used = HashSet::new();
    for function in manifest.functions.iter().chain(&manifest.anchors) {
        problems.unless(is_name(&function.name), || Problem::Name {
            what: "function",
            name: function.name.clone(),
        });
        pieces(index, function, &mut used, problems);
    }
    for function in &manifest.functions {
        let new = function.new.as_ref().and_then(|new| index.defined_in(new));
        problems.unless(matches!(new, Some((SectionKind::Code, _))), || {
            Problem::NoNewCode {
                function: function.name.clone(),
            }
        });
    }
    for anchor in &manifest.anchors {
        problems.unless(anchor.new.is_none(), || Problem::AnchorWithNewCode {
            function: anchor.name.clone(),
        });
    }
}

/// Every hook is a function of the patch, and is listed once in its phase.
fn hooks(index: &Index<'_>, problems: &mut Problems) {
    let hooks = &index.bundle.manifest.hooks;
    problems.unless(hooks.len() <= MAX_HOOKS, || Problem::TooManyHooks {
        count: hooks.len(),
    });
    let mut seen = HashSet::new();
    for hook in hooks {
        let code = index.defined_in(&hook.function);
        problems.unless(matches!(code, Some((SectionKind::Code, 1..))), || {
            Problem::Hook {
                phase: hook.phase,
                symbol: hook.function.clone(),
            }
        });
        problems.unless(seen.insert((hook.phase, &hook.function)), || {
            Problem::Duplicate {
                what: "hook",
                name: hook.function.clone(),
            }
        });
    }
}

/// Every piece has its own old code and its own place in the running program: `used` holds both.
fn pieces<'a>(
    index: &Index<'a>,
    function: &'a Function,
    used: &mut HashSet<&'a str>,
    problems: &mut Problems,
) {
    problems.unless(!function.pieces.is_empty(), || Problem::NoPieces {
        function: function.name.clone(),
    });
    for piece in &function.pieces {
        let old = index.defined_in(&piece.old);
        let is_old = matches!(old, Some((SectionKind::OldCode, size)) if size > 0);
        problems.unless(is_old, || Problem::OldPiece {
            function: function.name.clone(),
            symbol: piece.old.clone(),
        });
        problems.unless(index.is_running(&piece.running), || Problem::RunningPiece {
            function: function.name.clone(),
            symbol: piece.running.clone(),
        });
        for symbol in [&piece.old, &piece.running] {
            problems.unless(used.insert(symbol), || Problem::Duplicate {
                what: "piece",
                name: symbol.clone(),
            });
        }
    }
}

fn lines(index: &Index<'_>, problems: &mut Problems) {
    let lines = &index.bundle.manifest.lines;
    for file in &lines.files {
        problems.unless(is_name(file), || Problem::Name {
            what: "source file",
            name: file.clone(),
        });
    }
    for function in &lines.functions {
        let code = index.defined_in(&function.symbol);
        let size = code.map_or(
            0,
            |(kind, size)| if kind == SectionKind::Code { size } else { 0 },
        );
        let fits = function.rows().is_some_and(|rows| {
            let mut rows = rows.iter();
            rows.all(|row| row.offset < size && row.file < lines.files.len())
        });
        problems.unless(fits, || Problem::Lines {
            symbol: function.symbol.clone(),
        });
    }
}
