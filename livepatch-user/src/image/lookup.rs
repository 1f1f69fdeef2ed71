//! Global look-up, as the dynamic loader does it: first definition in search order, default versions first.
//! The executable comes first, so that its copies of variables (`R_X86_64_COPY`) win.

use super::image::{Image, ImageId};
use super::images::Images;
use super::symbol::{Kind, Provenance, SymbolHit};
use livepatch_bundle::{LinkAddr, RunAddr, Scope};

/// `DF_SYMBOLIC` in `DT_FLAGS`.
const DF_SYMBOLIC: u64 = 2;

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
    /// Its version.
    pub version: Option<String>,
}

impl Images<'_> {
    /// What `name` means to code of the executable and its libraries. In a static program: its own symbol.
    #[must_use]
    pub fn lookup_global(&self, name: &str, version: Option<&str>) -> Option<Resolved> {
        let scope = self.scope_order().to_vec();
        self.lookup_in(&scope, name, version)
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

    /// The order in which the loader searches for code of `from`: the image itself if it is linked
    /// `-Bsymbolic`; what was loaded at the start; what `from` was linked with, breadth first; the rest, which
    /// the loader would search only if it was loaded with `RTLD_GLOBAL`.
    #[must_use]
    pub fn scope_order_of(&self, from: ImageId) -> Vec<ImageId> {
        let scope = self.scope_order();
        let mut order = Vec::new();
        if is_symbolic(self.get(from)) {
            order.push(from);
        }
        order.extend_from_slice(&scope[..self.startup_len()]);
        order.extend(self.closure(from));
        order.extend_from_slice(scope);
        let mut seen = std::collections::HashSet::new();
        order.retain(|&id| seen.insert(id));
        order
    }

    fn lookup_in(&self, scope: &[ImageId], name: &str, version: Option<&str>) -> Option<Resolved> {
        let mut order = scope.iter().map(|&id| self.get(id));
        let dynamic = order.find_map(|image| exported(image, name, version));
        dynamic.or_else(|| self.lookup_static(name))
    }

    /// A program without dynamic symbols has only its symbol table.
    fn lookup_static(&self, name: &str) -> Option<Resolved> {
        let main = self.main()?;
        if main.dynamic_symbols().table.len() > 1 {
            return None;
        }
        match main.find(name, Scope::Global, None).as_slice() {
            [hit] => Some(resolved(main, hit, None)),
            _ => None,
        }
    }

    /// How many of the search order were loaded at the start: up to the last one that the executable needs.
    /// Libraries loaded later come behind.
    fn startup_len(&self) -> usize {
        let Some(main) = self.main() else {
            return 0;
        };
        let needed = self.closure(main.id);
        let mut last = self.scope_order().iter();
        last.rposition(|id| needed.contains(id))
            .map_or(0, |at| at + 1)
    }

    /// An image and what it was linked with, breadth first.
    fn closure(&self, root: ImageId) -> Vec<ImageId> {
        let mut order = vec![root];
        let mut at = 0;
        while let Some(&id) = order.get(at) {
            for name in self.get(id).needed() {
                let mut scope = self.scope_order().iter().copied();
                let found = scope.find(|&other| is_called(self.get(other), &name));
                order.extend(found.filter(|other| !order.contains(other)));
            }
            at += 1;
        }
        order
    }
}

fn is_called(image: &Image<'_>, name: &str) -> bool {
    let file = image.file_name().is_some_and(|file| file == name);
    file || image.soname().as_deref() == Some(name)
}

fn is_symbolic(image: &Image<'_>) -> bool {
    use super::dynamic::{DT_FLAGS, DT_SYMBOLIC};
    let dynamic = image.dynamic();
    let flags = dynamic.get(DT_FLAGS).unwrap_or(0);
    dynamic.get(DT_SYMBOLIC).is_some() || flags & DF_SYMBOLIC != 0
}

/// The image's dynamic definition.
fn exported(image: &Image<'_>, name: &str, version: Option<&str>) -> Option<Resolved> {
    let symbols = image.dynamic_symbols();
    let index = symbols.definition(name, version)?;
    let hit = SymbolHit::new(&symbols.table, index, Provenance::Dynamic)?;
    let version = symbols.version(index).name.map(str::to_owned);
    Some(resolved(image, &hit, version))
}

fn resolved(image: &Image<'_>, hit: &SymbolHit, version: Option<String>) -> Resolved {
    Resolved {
        image: image.id,
        value: hit.address,
        address: hit.at(image.bias),
        size: hit.size,
        kind: hit.kind,
        version,
    }
}
