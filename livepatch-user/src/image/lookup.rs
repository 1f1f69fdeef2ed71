//! Global look-up, as the dynamic loader does it: first definition in search order, default versions first.
//! The executable comes first, so that its copies of variables (`R_X86_64_COPY`) win.

use super::image::{Image, ImageId};
use super::images::Images;
use super::symbol::{Binding, Kind, Provenance, SymbolHit};
use super::table::is_defined;
use goblin::elf::sym::STV_DEFAULT;
use goblin::elf64::program_header::PT_INTERP;
use livepatch_bundle::{LinkAddr, RunAddr, Scope};

/// What a name means to the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The image that defines it.
    pub image: ImageId,
    /// `st_value`: link-time address, or for [`Kind::Tls`] the offset in the image's TLS block.
    pub value: LinkAddr,
    /// Where it is; `None` for [`Kind::Tls`]. For [`Kind::IFunc`] this is the *resolver*: see
    /// [`Images::bound_ifunc`].
    pub address: Option<RunAddr>,
    /// Size in bytes; 0 when not known.
    pub size: u64,
    /// What it names.
    pub kind: Kind,
    /// Who sees it.
    pub binding: Binding,
    /// Its version.
    pub version: Option<String>,
}

impl Images<'_> {
    /// What `name` means to code of the executable and its libraries. In a static program: its own symbol.
    #[must_use]
    pub fn lookup_global(&self, name: &str, version: Option<&str>) -> Option<Resolved> {
        self.lookup_in(self.scope_order(), name, version)
    }

    /// What `name` means to code of one image: as [`Images::lookup_global`], but a library that was loaded by
    /// `dlopen` sees what it was linked with before what others have loaded so.
    #[must_use]
    pub fn lookup_from(
        &self,
        from: ImageId,
        name: &str,
        version: Option<&str>,
    ) -> Option<Resolved> {
        self.lookup_in(&self.scope_order_of(from), name, version)
    }

    /// As [`Images::lookup_from`], where that is certain whatever dlopen(3) was told.
    ///
    /// # Errors
    /// The definition that another way of opening brings: that of a library which only code opened with `RTLD_GLOBAL` gives to
    /// others, or one which comes first with `RTLD_DEEPBIND`.
    pub fn lookup_surely(
        &self,
        from: ImageId,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Resolved>, Resolved> {
        let order = self.search_of(from);
        let find = |scope: &[ImageId]| self.lookup_in(scope, name, version);
        let Some(found) = find(&order.sure) else {
            return find(&order.rest).map_or(Ok(None), Err);
        };
        let is_own = order.sure.first() == Some(&from) && found.image == from;
        let mut groups = order.groups.iter().filter_map(|group| find(group));
        match groups.find(|other| !is_own && *other != found) {
            Some(other) => Err(other),
            None => Ok(Some(found)),
        }
    }

    /// What the image exports under a name and leaves to the loader (gABI "Symbol Table": `STV_DEFAULT`).
    #[must_use]
    pub fn preemptible_definition(&self, id: ImageId, name: &str) -> Option<Resolved> {
        let image = self.get(id);
        let index = image.definition(name, None)?;
        let symbol = image.dynamic_symbols().table.get(index)?;
        (symbol.st_other & 3 == STV_DEFAULT)
            .then(|| exported(image, name, None))
            .flatten()
    }

    /// The address that stands for a function in programs with fixed addresses: the PLT entry of the executable
    /// that its own code takes as the function's address, and the loader gives to everybody else who takes it.
    /// `None`: the function's own address is used.
    #[must_use]
    pub fn canonical_plt(&self, name: &str) -> Option<RunAddr> {
        let main = self.main()?;
        let table = &main.dynamic_symbols().table;
        let named = table.named(name.as_bytes()).into_iter();
        let mut values = named
            .filter_map(|index| table.get(index))
            .filter(|symbol| !is_defined(symbol) && symbol.st_value != 0)
            .map(|symbol| main.run(LinkAddr(symbol.st_value)));
        values.find(|&address| main.is_code(address))
    }

    pub(super) fn lookup_in(
        &self,
        scope: &[ImageId],
        name: &str,
        version: Option<&str>,
    ) -> Option<Resolved> {
        let mut order = scope.iter().map(|&id| self.get(id));
        let dynamic = order.find_map(|image| exported(image, name, version));
        dynamic.or_else(|| self.lookup_static(name))
    }

    /// A program without a loader has only its symbol table.
    fn lookup_static(&self, name: &str) -> Option<Resolved> {
        let main = self.main()?;
        if main.segment(PT_INTERP).is_some() {
            return None;
        }
        match main.find(name, Scope::Global, None).as_slice() {
            [hit] => Some(resolved(main, hit)),
            _ => None,
        }
    }
}

/// The image's dynamic definition.
fn exported(image: &Image<'_>, name: &str, version: Option<&str>) -> Option<Resolved> {
    let index = image.definition(name, version)?;
    let symbols = image.dynamic_symbols();
    let hit = SymbolHit::new(&symbols.table, index, Provenance::Dynamic)?;
    Some(resolved(image, &hit.with_version(symbols.version(index))))
}

fn resolved(image: &Image<'_>, hit: &SymbolHit) -> Resolved {
    Resolved {
        image: image.id,
        value: hit.address,
        address: hit.at(image.bias),
        size: hit.size,
        kind: hit.kind,
        binding: hit.binding,
        version: hit.version.clone(),
    }
}
