//! `patchgen inspect BUNDLE`.

use super::signature::Signature;
use super::{DONE, Inspect, REFUSED, show};
use anyhow::{Context, bail};
use livepatch_bundle::{Bundle, BundleError, Function, SectionKind, read, read_file, read_kernel};
use livepatch_cli::{out, outln};
use patchgen::disasm::terminal::Style;
use patchgen::disasm::{self, html, terminal};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;

/// Where keys are that nobody named.
const KEYS: &str = "/etc/livepatch/keys.d";

pub(super) fn run(inspect: &Inspect) -> anyhow::Result<u8> {
    let path = inspect.bundle.display();
    let bytes = read_file(&inspect.bundle).with_context(|| format!("cannot read `{path}`"))?;
    let bundle = match read(&bytes) {
        Err(BundleError::ForKernel) => return kernel(inspect, &bytes),
        read => read.with_context(|| format!("`{path}` is no bundle that can be used"))?,
    };
    let keys = inspect.keys.as_deref().unwrap_or(Path::new(KEYS));
    let signature = Signature::of(&bytes, keys)?;
    if inspect.json {
        outln!("{:#}", json(&bundle, &signature));
    } else if inspect.disasm || inspect.html.is_some() {
        disassemble(inspect, &bundle)?;
    } else {
        out!("{}", table(&bundle));
        outln!("{signature}");
    }
    Ok(match signature.is_refused(inspect.keys.is_some()) {
        true => REFUSED,
        false => DONE,
    })
}

/// Shows a patch for the kernel.
fn kernel(inspect: &Inspect, bytes: &[u8]) -> anyhow::Result<u8> {
    /// What `sign-file` leaves at the end of a module (`include/linux/module_signature.h`).
    const SIGNATURE: &[u8] = b"~Module signature appended~\n";
    let path = inspect.bundle.display();
    if inspect.disasm || inspect.html.is_some() {
        bail!("`{path}` is a kernel module: `objdump -dr` shows its code");
    }
    let manifest = read_kernel(bytes);
    let manifest = manifest.with_context(|| format!("`{path}` is no patch that can be used"))?;
    let signed = bytes.ends_with(SIGNATURE);
    if inspect.json {
        outln!("{:#}", show::json(&manifest, signed));
    } else {
        out!("{}", show::table(&manifest, signed));
    }
    Ok(DONE)
}

/// Columns where the terminal does not say.
const WIDTH: usize = 120;

fn disassemble(inspect: &Inspect, bundle: &Bundle) -> anyhow::Result<()> {
    let pieces = disasm::listing(bundle).context("capstone cannot be used")?;
    if let Some(path) = &inspect.html {
        let title = format!("patch {}", bundle.manifest.name);
        fs::write(path, html::render(&title, &pieces))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    } else {
        out!("{}", terminal::render(&pieces, style(inspect)));
    }
    let count: usize = pieces
        .iter()
        .map(|piece| piece.disagreements().count())
        .sum();
    if count > 0 {
        bail!("iced-x86 and capstone disagree about {count} instruction(s), marked in the listing");
    }
    Ok(())
}

fn style(inspect: &Inspect) -> Style {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    Style {
        width: inspect
            .width
            .or_else(terminal)
            .or_else(columns)
            .unwrap_or(WIDTH)
            .max(20),
        colours: !plain,
    }
}

fn json(bundle: &Bundle, signature: &Signature) -> serde_json::Value {
    let sections = bundle.sections.iter().map(|section| {
        json!({
            "name": section.name,
            "kind": kind(section.kind),
            "size": section.size,
            "relocations": section.relocations.len(),
        })
    });
    json!({
        "manifest": bundle.manifest,
        "signature": signature.json(),
        "sections": sections.collect::<Vec<_>>(),
        "symbols": bundle.symbols.iter().map(|symbol| json!({
            "name": symbol.name,
            "kind": symbol.kind,
            "size": symbol.definition.map(|definition| definition.size),
            "section": symbol.definition.map(|definition| &bundle.sections[definition.section.0].name),
        })).collect::<Vec<_>>(),
    })
}

fn kind(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Code => "code",
        SectionKind::ReadOnly => "read-only",
        SectionKind::Data => "data",
        SectionKind::Zero => "zero",
        SectionKind::Unwind => "unwind",
        SectionKind::OldCode => "old code",
        SectionKind::OldReadOnly => "old read-only",
    }
}

fn table(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let mut text = format!("patch `{}`, made by {}\n", manifest.name, manifest.tool);
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if !manifest.description.is_empty() {
        line(format!("  {}", manifest.description));
    }
    for module in &manifest.modules {
        let id = module
            .build_id
            .as_ref()
            .map_or("no build ID".to_owned(), |id| format!("build ID {id}"));
        line(format!("for `{}`, {id}", module.file_name));
    }
    line("replaced functions:".to_owned());
    for function in &manifest.functions {
        line(replaced(bundle, function));
    }
    let new = added(bundle);
    if !new.is_empty() {
        line("new functions and data:".to_owned());
        new.into_iter().for_each(&mut line);
    }
    if !manifest.references.is_empty() {
        line("used where they run:".to_owned());
        for reference in &manifest.references {
            let where_from = if reference.defined {
                ""
            } else {
                ", defined elsewhere"
            };
            line(format!(
                "  {:<32} {:?}{where_from}",
                reference.symbol, reference.kind
            ));
        }
    }
    if !manifest.anchors.is_empty() {
        let names = manifest
            .anchors
            .iter()
            .map(|anchor| format!("`{}`", anchor.name));
        line(format!("anchors: {}", names.collect::<Vec<_>>().join(", ")));
    }
    for hook in &manifest.hooks {
        line(format!("{} hook: `{}`", hook.phase, hook.function));
    }
    if !manifest.supersedes.is_empty() {
        line(format!("supersedes: {}", manifest.supersedes.join(", ")));
    }
    if !manifest.quiesce.is_empty() {
        line(format!(
            "must be on no stack, too: {}",
            manifest.quiesce.join(", ")
        ));
    }
    for warning in &manifest.warnings {
        line(format!("warning: {warning}"));
    }
    text
}

fn size(bundle: &Bundle, name: &str) -> u64 {
    let symbol = bundle.symbol(name).map(|id| &bundle.symbols[id.0]);
    symbol
        .and_then(|symbol| symbol.definition)
        .map_or(0, |definition| definition.size)
}

fn replaced(bundle: &Bundle, function: &Function) -> String {
    let old: u64 = function
        .pieces
        .iter()
        .map(|piece| size(bundle, &piece.old))
        .sum();
    let new = function.new.as_deref().map_or(0, |new| size(bundle, new));
    let mut text = format!(
        "  {:<32} {old:>6} -> {new:>6} bytes  {}",
        function.name, function.object
    );
    if !function.reason.is_empty() {
        let _ = write!(text, "\n      {}", function.reason);
    }
    text
}

/// Symbols of new code and data that replace nothing.
fn added(bundle: &Bundle) -> Vec<String> {
    let replaces = |name: &str| {
        bundle
            .manifest
            .functions
            .iter()
            .any(|function| function.new.as_deref() == Some(name))
    };
    let symbols = bundle
        .symbols
        .iter()
        .filter(|symbol| !replaces(&symbol.name));
    let added = symbols.filter_map(|symbol| {
        let definition = symbol.definition?;
        let kind = bundle.sections[definition.section.0].kind;
        let new = kind.is_placed();
        new.then(|| {
            format!(
                "  {:<32} {:>6} bytes  {}",
                symbol.name,
                definition.size,
                self::kind(kind)
            )
        })
    });
    added.collect()
}
