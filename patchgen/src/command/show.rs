//! `patchgen inspect` of a patch for the kernel.

use livepatch_bundle::{FixupKind, KernelFunction, KernelManifest};
use serde_json::json;
use std::fmt::Write as _;

/// What `--json` prints.
pub(super) fn json(manifest: &KernelManifest, signed: bool) -> serde_json::Value {
    json!({ "manifest": manifest, "module_signature": signed })
}

/// What people read.
pub(super) fn table(manifest: &KernelManifest, signed: bool) -> String {
    let mut text = format!(
        "kernel patch `{}`, made by {}, module `{}`\n",
        manifest.name, manifest.tool, manifest.module
    );
    if !manifest.description.is_empty() {
        let _ = writeln!(text, "  {}", manifest.description);
    }
    let _ = match &manifest.build_id {
        Some(id) => writeln!(text, "for kernel `{}`, build ID {id}", manifest.release),
        None => writeln!(
            text,
            "for no kernel: made by `--kernel-object`, it cannot be loaded"
        ),
    };
    if manifest.replace {
        text.push_str("takes the place of all livepatches in force\n");
    }
    for object in &manifest.objects {
        let _ = writeln!(text, "replaced functions in `{}`:", object.name);
        for function in &object.functions {
            text.push_str(&row(function));
        }
    }
    for warning in &manifest.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str(if signed {
        "signed as a module\n"
    } else {
        "not signed (`sign-file` signs modules)\n"
    });
    text
}

fn row(function: &KernelFunction) -> String {
    let position = match function.sympos {
        0 => String::new(),
        position => format!(" (the {position}. of its name)"),
    };
    let relocations = function
        .fixups
        .iter()
        .filter(|one| one.kind == FixupKind::Relocation);
    let fixed =
        function.code.len() as u64 - function.fixups.iter().map(|one| one.size).sum::<u64>();
    let mut text = format!(
        "  {}{position}: {} bytes, {fixed} of them compared with the running code, {} relocations\n",
        function.name,
        function.code.len(),
        relocations.count()
    );
    if !function.reason.is_empty() {
        let _ = writeln!(text, "      {}", function.reason);
    }
    text
}
