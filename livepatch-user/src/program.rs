//! One module of a process, as matching and resolution see it.

use crate::image::{
    Binding, Image, ImageId, Images, Kind, Provenance, Resolved, Slot, SlotKind, SymbolHit,
};
use crate::installed::{Installed, State};
use crate::memory::Memory;
use crate::prove::{NameAt, Program};
use crate::resolve::{Elsewhere, Global, Linkage, Named, Slots};
use crate::symbols::patch_functions;
use livepatch_bundle::{LinkAddr, Manifest, Module, Reference, RunAddr, Scope};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// How versions of symbols begin in the libraries that compilers link everything with.
const RUNTIMES: [&str; 4] = ["GLIBC_", "GLIBCXX_", "CXXABI_", "GCC_"];

/// A module that a patch may be for.
pub struct Candidate<'a> {
    images: &'a Images<'a>,
    image: &'a Image<'a>,
    memory: &'a dyn Memory,
    /// The module's number in the manifest, when the manifest names it by build ID.
    known: Option<usize>,
    /// Entries that earlier patches redirect, and where to.
    redirected: BTreeMap<RunAddr, RunAddr>,
    /// Earlier patches that are in force.
    active: Vec<&'a Installed>,
    /// The functions that these brought in, by name; read when they are first asked for.
    brought_in: OnceCell<BTreeMap<String, Vec<RunAddr>>>,
}

impl<'a> Candidate<'a> {
    /// The module `id` of the process.
    #[must_use]
    pub fn new(
        images: &'a Images<'a>,
        id: ImageId,
        memory: &'a dyn Memory,
        manifest: &Manifest,
        patches: &'a [Installed],
    ) -> Self {
        let image = images.get(id);
        let known = manifest
            .modules
            .iter()
            .position(|module| is_module(image, module));
        let active = patches.iter().filter(|patch| patch.state == State::Active);
        let active: Vec<&Installed> = active.collect();
        let redirects = active.iter().flat_map(|patch| &patch.record.functions);
        let redirected = redirects
            .map(|redirect| (redirect.entry, redirect.new))
            .collect();
        Self {
            images,
            image,
            memory,
            known,
            redirected,
            active,
            brought_in: OnceCell::new(),
        }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image<'a> {
        self.image
    }

    fn symbols(&self, reference: &Reference) -> Vec<SymbolHit> {
        let hits = self.image.find(
            &reference.name,
            reference.scope,
            reference.source.as_deref(),
        );
        hits.into_iter()
            .filter(|hit| hit.kind.fits(reference.kind))
            .collect()
    }

    /// Where `patchgen --target` found it, if this is that very file.
    fn located(&self, reference: &Reference) -> Option<LinkAddr> {
        let known = self.known?;
        reference
            .located
            .iter()
            .find(|located| located.module == known)
            .map(|located| located.address)
    }
}

/// Whether the manifest's module is this image: the build IDs decide.
#[must_use]
pub fn is_module(image: &Image<'_>, module: &Module) -> bool {
    module.build_id.is_some() && image.build_id() == module.build_id.as_ref()
}

impl Program for Candidate<'_> {
    fn memory(&self) -> &dyn Memory {
        self.memory
    }

    fn named(&self, reference: &Reference) -> Vec<RunAddr> {
        if let Some(address) = self.located(reference) {
            return vec![self.image.run(address)];
        }
        let hits = self.symbols(reference).into_iter();
        hits.filter_map(|hit| hit.at(self.image.bias())).collect()
    }

    fn brought_in(&self, reference: &Reference) -> Vec<RunAddr> {
        let by_name = self.brought_in.get_or_init(|| self.functions_brought_in());
        by_name.get(&reference.name).cloned().unwrap_or_default()
    }

    fn function_starts(&self) -> Vec<RunAddr> {
        self.image
            .function_starts()
            .iter()
            .map(|range| range.start)
            .collect()
    }

    fn executable_end(&self, address: RunAddr) -> Option<RunAddr> {
        let own = self
            .image
            .executable_ranges()
            .iter()
            .find(|range| range.contains(&address));
        // An earlier patch's code lies outside the module.
        let mut patched = self.active.iter().map(|patch| patch.code());
        own.map(|range| range.end).or_else(|| {
            let (_, end) = patched.find(|(start, end)| (*start..*end).contains(&address))?;
            Some(end)
        })
    }

    fn redirected(&self, entry: RunAddr) -> Option<RunAddr> {
        self.redirected.get(&entry).copied()
    }

    fn names_at(&self, entry: RunAddr) -> Vec<NameAt> {
        let names = self.image.function_names_at(entry).into_iter();
        names
            .map(|(name, hit)| NameAt {
                name,
                scope: match hit.binding {
                    Binding::Local => Scope::Local,
                    Binding::Global | Binding::Weak => Scope::Global,
                },
                is_dynamic: hit.provenance == Provenance::Dynamic,
                source: hit.source,
            })
            .collect()
    }
}

impl Linkage for Candidate<'_> {
    fn named(&self, reference: &Reference) -> Vec<Named> {
        if let Some(address) = self.located(reference) {
            let tls = reference.kind == livepatch_bundle::SymbolKind::Tls;
            let value = if tls {
                RunAddr(address.0)
            } else {
                self.image.run(address)
            };
            return vec![Named {
                value,
                tls,
                ifunc: false,
            }];
        }
        self.symbols(reference)
            .into_iter()
            .map(|hit| self.as_named(&hit))
            .collect()
    }

    fn slots(&self, name: &str) -> Slots {
        let mut slots = Slots::default();
        for Slot { address, kind, .. } in self.image.import_slots(name) {
            match kind {
                SlotKind::GlobDat => slots.address = Some(address),
                SlotKind::JumpSlot => slots.lazy = Some(address),
                SlotKind::Copy => slots.copy = Some(address),
                SlotKind::TpOff => slots.tp_offset = Some(address),
                SlotKind::TlsModule => slots.tls_pair = Some(address),
                SlotKind::TlsDesc => slots.tls_descriptor = Some(address),
                SlotKind::Absolute | SlotKind::TlsOffset | SlotKind::IRelative => {}
            }
        }
        slots
    }

    fn global(&self, name: &str) -> Option<Global> {
        let found = self.found_surely(name).ok()??;
        match found.kind {
            Kind::IFunc => Some(Global::Ifunc(self.images.bound_ifunc(name, &found))),
            Kind::Tls => {
                let block = self.images.tls_offset(found.image);
                Some(Global::Tls(
                    block.map(|block| block.wrapping_add_unsigned(found.value.0)),
                ))
            }
            _ => found.address.map(Global::Address),
        }
    }

    fn unsure(&self, name: &str) -> Option<String> {
        let other = self.found_surely(name).err()?;
        Some(self.images.get(other.image).label())
    }

    fn elsewhere(&self, name: &str) -> Option<Elsewhere> {
        let found = self.found_surely(name).ok()??;
        let other = self.images.get(found.image);
        let runtime = |version: &String| RUNTIMES.iter().any(|start| version.starts_with(start));
        let is_usual = other.is_main()
            || found.version.as_ref().is_some_and(runtime)
            || self.images.loader() == Some(other.id())
            || other
                .names()
                .any(|name| self.image.needed().iter().any(|needed| needed == name));
        (other.id() != self.image.id()).then(|| Elsewhere {
            module: other.label(),
            is_usual,
        })
    }

    fn canonical(&self, name: &str) -> Option<RunAddr> {
        let main = self.images.main()?.id();
        let seen = self.images.scope_order_of(self.image.id());
        let canonical = || self.images.canonical_plt(name);
        seen.contains(&main).then(canonical).flatten()
    }

    fn may_hide(&self, name: &str) -> bool {
        self.image.may_hide(name)
    }

    fn preemptible(&self, name: &str) -> bool {
        let exported = || !self.image.import_slots(name).is_empty();
        // Objects may use another name of it: complete constructors of C++ are often base constructors, too.
        let aliased = || {
            let own = self.image.find(name, Scope::Global, None);
            own.iter().any(|hit| self.image.is_imported(hit.address))
        };
        !self.image.is_main() && (exported() || aliased())
    }

    fn preempted(&self, name: &str) -> bool {
        let own = self.images.preemptible_definition(self.image.id(), name);
        own.is_some_and(|own| {
            let first = self.found(name);
            let is_other = first.is_some_and(|first| first.image != own.image);
            is_other || self.canonical(name).is_some()
        })
    }

    fn wrapped(&self, name: &str) -> bool {
        let wrapper = format!("__wrap_{name}");
        !self.image.find(&wrapper, Scope::Global, None).is_empty()
            || !self.image.import_slots(&wrapper).is_empty()
            || self.found(&wrapper).is_some()
    }

    fn has_all_names(&self) -> bool {
        let sources = self.image.symbol_sources();
        sources.iter().any(|(from, symbols)| {
            matches!(from, Provenance::File | Provenance::DebugFile) && symbols.is_ok()
        })
    }

    fn doubtful(&self, name: &str) -> Option<String> {
        let own = self
            .images
            .preemptible_definition(self.image.id(), name)
            // Of weak definitions, which many modules of C++ have, any will do.
            .filter(|own| own.kind == Kind::Function && own.binding == Binding::Global)?;
        let first = self.found(name)?;
        let is_other = first.image != own.image && !self.preemptible(name);
        let names: BTreeSet<String> = self
            .image
            .function_names_at(own.address?)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let doubtful = is_other && (names.len() > 1 || !self.image.imports_own_functions());
        doubtful.then(|| self.images.get(first.image).label())
    }

    fn tls_offset(&self) -> Option<i64> {
        self.images.tls_offset(self.image.id())
    }

    fn tls_module(&self) -> Option<u64> {
        self.image.tls_module()
    }
}

impl Candidate<'_> {
    fn functions_brought_in(&self) -> BTreeMap<String, Vec<RunAddr>> {
        let replacements: BTreeSet<RunAddr> = self.redirected.values().copied().collect();
        let patches = self.active.iter();
        let functions = patches.flat_map(|patch| patch_functions(self.memory, patch));
        let mut by_name: BTreeMap<String, Vec<RunAddr>> = BTreeMap::new();
        for function in functions.filter(|one| !replacements.contains(&one.address)) {
            let places = by_name.entry(function.name).or_default();
            places.push(function.address);
        }
        by_name
    }

    /// What the loader's search finds for the module, of the version that the module itself defines.
    fn found(&self, name: &str) -> Option<Resolved> {
        let version = self.own_version(name);
        self.images
            .lookup_from(self.image.id(), name, version.as_deref())
    }

    /// The same, where it does not depend on how libraries were opened; else what is found in one of the ways.
    fn found_surely(&self, name: &str) -> Result<Option<Resolved>, Resolved> {
        let version = self.own_version(name);
        self.images
            .lookup_surely(self.image.id(), name, version.as_deref())
    }

    fn own_version(&self, name: &str) -> Option<String> {
        let own = self.images.preemptible_definition(self.image.id(), name);
        own?.version
    }

    fn as_named(&self, hit: &SymbolHit) -> Named {
        match hit.at(self.image.bias()) {
            Some(value) => Named {
                value,
                tls: false,
                ifunc: hit.kind == Kind::IFunc,
            },
            None => Named {
                value: RunAddr(hit.address.0),
                tls: true,
                ifunc: false,
            },
        }
    }
}
