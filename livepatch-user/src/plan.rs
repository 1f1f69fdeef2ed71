//! A patch fitted to one process: everything that is known before anything is written.
//!
//! Pure. What depends on where the patch will lie is computed for each place that is tried.

use crate::arena::{Needs, RecordedArena};
use crate::entry::{self, EntryError};
use crate::link::{BUILD_ID, BUILD_ID_LEN, Image, Layout, LinkError, Resolution, link};
use crate::prove::Proven;
use crate::record::{PRELUDE_OFFSET, Record, RecordedHook, RecordedModule, Redirect};
use livepatch_bundle::{Bundle, RunAddr, SectionKind, Symbol, SymbolId};
use std::collections::HashSet;
use thiserror::Error;

/// A place above every patch in the encoding of a record: addresses below it take no more bytes.
const HIGHEST: RunAddr = RunAddr(0x7fff_ffff_f000);
/// The longest jump, for the same purpose.
const LONGEST_JUMP: usize = 14;

/// One function that is replaced, as it is in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What was proven about it.
    pub proven: Proven,
    /// The bytes at its entry that a jump may take: of the function, and of the padding behind it if it is short.
    pub code: Vec<u8>,
    /// All bytes of its entry piece.
    pub old: Vec<u8>,
    /// How many of them are the function's own.
    pub own: usize,
    /// How many bytes behind it are provably padding.
    pub padding: usize,
}

/// A patch fitted to a process.
#[derive(Debug)]
pub struct Plan<'a> {
    bundle: &'a Bundle,
    resolutions: Vec<Resolution>,
    sites: Vec<Site>,
    template: Record,
    layout: Layout,
    needs: Needs,
}

/// What the record says beside addresses.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The order of stacking.
    pub sequence: u64,
    /// SHA-256 of the bundle file.
    pub bundle: [u8; 32],
    /// Seconds since the epoch.
    pub applied_at: u64,
    /// The module.
    pub module: RecordedModule,
    /// Sequence numbers of earlier patches whose code or data it uses.
    pub rests_on: Vec<u64>,
}

/// Why a plan does not work at a place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// References that cannot be filled in.
    #[error("the patch cannot be linked into the running program")]
    Link(#[source] Problems<LinkError>),
    /// An entry that cannot hold a jump.
    #[error("function `{name}` at {entry} cannot be redirected")]
    Entry {
        /// The function.
        name: String,
        /// Where it is.
        entry: RunAddr,
        /// Why.
        source: EntryError,
    },
}

/// Several problems of one kind, told one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems<E>(pub Vec<E>);

impl<E: std::fmt::Display> std::fmt::Display for Problems<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Problems<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.first().and_then(std::error::Error::source)
    }
}

impl<'a> Plan<'a> {
    /// Fits `bundle` to a process in which `sites` are its functions, in the manifest's order.
    #[must_use]
    pub fn new(
        bundle: &'a Bundle,
        resolutions: Vec<Resolution>,
        sites: Vec<Site>,
        identity: Identity,
    ) -> Self {
        let needs = Needs::of(bundle);
        let template = Record {
            sequence: identity.sequence,
            name: bundle.manifest.name.clone(),
            description: bundle.manifest.description.clone(),
            bundle: identity.bundle,
            applied_at: identity.applied_at,
            text_len: u64::MAX >> 16,
            data_len: u64::MAX >> 16,
            code: (u64::MAX >> 32, u64::MAX >> 32),
            unwind: (u64::MAX >> 32, u64::MAX >> 32),
            module: identity.module,
            functions: sites.iter().map(longest).collect(),
            entries: code_symbols(bundle).map(|_| u64::MAX >> 32).collect(),
            hooks: hooks(bundle, |_| u64::MAX >> 32),
            arena: needs.longest(),
            rests_on: identity.rests_on,
        };
        let mut resolutions = resolutions;
        for (symbol, address) in needs.longest().iter().flat_map(|arena| needs.values(arena)) {
            resolutions[symbol.0] = value(address);
        }
        let layout = Layout::new(bundle, template.encode().len() as u64);
        Self {
            bundle,
            resolutions,
            sites,
            template,
            layout,
            needs,
        }
    }

    /// The patch's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.bundle.manifest.name
    }

    /// What it needs of the arena.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Tells where the arena is. Until then every address in it is a placeholder.
    pub fn set_arena(&mut self, arena: &RecordedArena) {
        for (symbol, address) in self.needs.values(arena) {
            self.resolutions[symbol.0] = value(address);
        }
        self.template.arena = Some(arena.clone());
    }

    /// Where things lie in the patch.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The functions.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The record of the patch if it lies at `base`.
    ///
    /// # Errors
    /// When an entry cannot hold the jump there.
    pub fn record(&self, base: RunAddr) -> Result<Record, PlanError> {
        let functions = self.redirects(base)?;
        Ok(Record {
            text_len: self.layout.text_len,
            data_len: self.layout.data_len,
            code: self.layout.code,
            unwind: self.layout.unwind,
            functions,
            entries: self.entries(),
            hooks: hooks(self.bundle, |symbol| self.offset(symbol)),
            ..self.template.clone()
        })
    }

    /// The bytes of the patch if it lies at `base`, prelude and record included.
    ///
    /// # Errors
    /// When it cannot be linked there, or an entry cannot hold the jump.
    pub fn image(&self, base: RunAddr) -> Result<Image, PlanError> {
        let record = self.record(base)?;
        let mut image = link(self.bundle, &self.layout, base, &self.resolutions)
            .map_err(|errors| PlanError::Link(Problems(errors)))?;
        let body = record.encode();
        let prelude = record.prelude(&body, self.layout.body, base);
        let mut put = |at: u64, bytes: &[u8]| {
            image.text[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        };
        put(PRELUDE_OFFSET, &prelude);
        put(self.layout.body, &body);
        put(BUILD_ID, &record.bundle[..BUILD_ID_LEN]);
        Ok(image)
    }

    fn entries(&self) -> Vec<u64> {
        code_symbols(self.bundle)
            .map(|symbol| self.offset(symbol))
            .collect()
    }

    /// The offset of a symbol that the patch defines.
    fn offset(&self, symbol: SymbolId) -> u64 {
        let at = self.layout.address_of(self.bundle, symbol, RunAddr(0));
        at.expect("code that is placed has an address").0
    }

    /// One for each entry: of functions that the linker folded the first.
    fn redirects(&self, base: RunAddr) -> Result<Vec<Redirect>, PlanError> {
        let names = self.bundle.names();
        let functions = self.bundle.manifest.functions.iter();
        let mut entries = HashSet::new();
        functions
            .zip(&self.sites)
            .filter(|(_, site)| entries.insert(site.proven.entry))
            .filter_map(|(function, site)| {
                let new = names.get(function.new.as_ref()?)?;
                let address = self.layout.address_of(self.bundle, new, base)?;
                let size = self.bundle.symbols[new.0].definition?.size;
                Some(redirect(site, address, size))
            })
            .collect()
    }
}

/// A symbol that stands for a number.
fn value(address: RunAddr) -> Resolution {
    Resolution {
        address: Some(address),
        ..Resolution::default()
    }
}

/// The bundle's hooks, with their offsets.
fn hooks(bundle: &Bundle, offset: impl Fn(SymbolId) -> u64) -> Vec<RecordedHook> {
    let hooks = bundle.manifest.hooks.iter();
    hooks
        .filter_map(|hook| {
            Some(RecordedHook {
                phase: hook.phase,
                name: hook.function.clone(),
                offset: offset(bundle.symbol(&hook.function)?),
            })
        })
        .collect()
}

/// The functions that the bundle defines in code that is placed.
fn code_symbols(bundle: &Bundle) -> impl Iterator<Item = SymbolId> {
    let is_code = |symbol: &Symbol| {
        let section = symbol
            .definition
            .map(|definition| &bundle.sections[definition.section.0]);
        section.is_some_and(|section| section.kind == SectionKind::Code)
    };
    (0..bundle.symbols.len())
        .filter(move |&index| is_code(&bundle.symbols[index]))
        .map(SymbolId)
}

fn redirect(site: &Site, new: RunAddr, new_len: u64) -> Result<Redirect, PlanError> {
    let Proven {
        name,
        entry,
        pieces,
    } = &site.proven;
    let jump = entry::jump(*entry, &site.code, site.own, site.padding, new).map_err(|source| {
        PlanError::Entry {
            name: name.clone(),
            entry: *entry,
            source,
        }
    })?;
    Ok(Redirect {
        name: name.clone(),
        entry: *entry,
        site: jump.site,
        jump: jump.bytes,
        saved: jump.saved,
        new,
        new_len,
        old: pieces.clone(),
    })
}

/// A redirection whose encoding is at least as long as any of this function.
fn longest(site: &Site) -> Redirect {
    Redirect {
        name: site.proven.name.clone(),
        entry: site.proven.entry,
        site: HIGHEST,
        jump: vec![0; LONGEST_JUMP],
        saved: vec![0; LONGEST_JUMP],
        new: HIGHEST,
        new_len: u64::MAX >> 32,
        old: site.proven.pieces.clone(),
    }
}
