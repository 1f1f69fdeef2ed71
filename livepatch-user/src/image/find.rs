//! Symbols of one image by name and by address.

use super::image::Image;
use super::symbol::{Binding, Kind, Provenance, SymbolHit};
use super::table::{Index, SymbolTable, is_defined, without_version};
use crate::printable::one_line;
use livepatch_bundle::{RunAddr, Scope};
use std::collections::HashSet;

/// Bytes of a symbol's name that are shown at most.
const MAX_SHOWN: usize = 512;

impl Image<'_> {
    /// The definitions of `name`, from the first symbol table that has any: several when local symbols share
    /// the name.
    ///
    /// `source` is the `STT_FILE` name that local symbols must follow; names of different directories are
    /// compared by their last component if no full name fits. Of a global name's versions the default one is
    /// found, unless `name` says which (`name@V1`). A global name that the link made local (hidden
    /// visibility, version script) is found when nothing else has the name: never
    /// a static one.
    #[must_use]
    pub fn find(&self, name: &str, scope: Scope, source: Option<&str>) -> Vec<SymbolHit> {
        match scope {
            Scope::Local => self.find_where(name, &|hits| from_source(locals(hits), source)),
            Scope::Global => {
                let found = self.find_where(name, &globals);
                if found.is_empty() {
                    self.find_where(name, &|hits| made_local(locals(hits), source))
                } else {
                    found
                }
            }
        }
    }

    /// Whether a local symbol of the name may be one that the linker made local, or a static one: no table tells.
    #[must_use]
    pub fn may_hide(&self, name: &str) -> bool {
        let untold = |hits| with(locals(hits), |hit| hit.made_local.is_none());
        !self.find_where(name, &untold).is_empty()
    }

    /// The function at a run-time address, with the offset in it: for stack traces, so the name is made fit to be shown.
    #[must_use]
    pub fn symbol_at(&self, address: RunAddr) -> Option<(String, u64)> {
        if !self.is_code(address) {
            return None;
        }
        self.tables().find_map(|(_, table)| {
            let (index, offset) = table.function_at(self.link(address))?;
            let name = table.name(table.get(index)?);
            let name = String::from_utf8_lossy(&name[..name.len().min(MAX_SHOWN)]);
            Some((one_line(&name).into_owned(), offset))
        })
    }

    /// The names and symbols of the functions that begin at a run-time address, by the first symbol table and the dynamic
    /// symbols: `.gnu_debugdata` has no exported names. Symbols without a size, which may be labels, do not count.
    #[must_use]
    pub fn function_names_at(&self, address: RunAddr) -> Vec<(String, SymbolHit)> {
        let address = self.link(address);
        let dynamic = (Provenance::Dynamic, &self.dynamic_symbols().table);
        let tables = self.tables().take(1).chain([dynamic]);
        let mut found: Vec<(String, SymbolHit)> = Vec::new();
        for (provenance, table) in tables {
            for index in table.functions_at(address) {
                let name = table.get(index).map(|symbol| table.name(symbol));
                let name = String::from_utf8_lossy(without_version(name.unwrap_or_default()));
                let hit = self.hit(table, index, provenance);
                let hit = hit.filter(|hit| hit.kind == Kind::Function && hit.size > 0);
                found.extend(hit.map(|hit| (one_line(&name).into_owned(), hit)));
            }
        }
        found
    }

    fn hit(&self, table: &SymbolTable, index: Index, provenance: Provenance) -> Option<SymbolHit> {
        let hit = SymbolHit::new(table, index, provenance)?;
        Some(match provenance {
            Provenance::Dynamic => hit.with_version(self.dynamic_symbols().version(index)),
            _ => hit,
        })
    }

    fn find_where(
        &self,
        name: &str,
        choose: &dyn Fn(Vec<SymbolHit>) -> Vec<SymbolHit>,
    ) -> Vec<SymbolHit> {
        for (provenance, table) in self.tables() {
            let named = table.named(name.as_bytes()).into_iter();
            let defined = named.filter(|&index| table.get(index).is_some_and(is_defined));
            let hits = defined.filter_map(|index| self.hit(table, index, provenance));
            let chosen = choose(hits.collect());
            if !chosen.is_empty() {
                return without_repeats(chosen);
            }
        }
        Vec::new()
    }
}

fn locals(hits: Vec<SymbolHit>) -> Vec<SymbolHit> {
    with(hits, |hit| hit.binding == Binding::Local)
}

/// Of several versions the default one.
fn globals(hits: Vec<SymbolHit>) -> Vec<SymbolHit> {
    let globals = with(hits, |hit| hit.binding != Binding::Local);
    let default = with(globals.clone(), |hit| hit.default_version);
    if default.is_empty() { globals } else { default }
}

fn from_source(hits: Vec<SymbolHit>, source: Option<&str>) -> Vec<SymbolHit> {
    let Some(source) = source else {
        return hits;
    };
    let exact = with(hits.clone(), |hit| hit.source.as_deref() == Some(source));
    if !exact.is_empty() {
        return exact;
    }
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    with(hits, |hit| {
        hit.source.as_deref().and_then(last) == last(source)
    })
}

/// Those that were global before the link. Where the table does not tell, those of the file that defined it.
fn made_local(hits: Vec<SymbolHit>, source: Option<&str>) -> Vec<SymbolHit> {
    let sure = with(hits.clone(), |hit| hit.made_local == Some(true));
    if !sure.is_empty() || source.is_none() {
        return sure;
    }
    let untold = with(hits, |hit| hit.made_local.is_none());
    let of_file = from_source(untold.clone(), source);
    if of_file.is_empty() {
        with(untold, |hit| hit.source.is_none())
    } else {
        of_file
    }
}

fn with(hits: Vec<SymbolHit>, keep: impl Fn(&SymbolHit) -> bool) -> Vec<SymbolHit> {
    hits.into_iter().filter(keep).collect()
}

/// Tables repeat symbols.
fn without_repeats(mut hits: Vec<SymbolHit>) -> Vec<SymbolHit> {
    let mut seen = HashSet::new();
    hits.retain(|hit| seen.insert((hit.address, hit.kind, hit.source.clone())));
    hits
}
