//! All images of a process.

use super::context::Context;
use super::discover::{Search, budget};
use super::dynamic::DT_DEBUG;
use super::image::{Image, ImageId, Namespace, Role, Space};
use super::link_map::{Entry, LinkMaps};
use super::scope::{SearchOrder, Startup};
use crate::memory::Memory;
use crate::process::Mapping;
use goblin::elf64::program_header::{PT_DYNAMIC, PT_INTERP};
use livepatch_bundle::{BuildId, LinkAddr, RunAddr};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// The images that a process maps, as they were when they were read.
///
/// Symbols and relocations are read from memory and files when first asked for; memory that the process has
/// unmapped meanwhile reads as absent.
#[derive(Debug)]
pub struct Images<'m> {
    images: Vec<Image<'m>>,
    /// The loader's lists, the base namespace's first.
    pub(super) scopes: Vec<Vec<ImageId>>,
    pub(super) startup: OnceLock<Vec<Startup>>,
    /// What the loader searches for code of each image, by number.
    pub(super) orders: Vec<OnceLock<SearchOrder>>,
    consistent: bool,
    /// Whether the loader's list has entries.
    linked: bool,
}

impl<'m> Images<'m> {
    /// Finds the images among `mappings`, which ascend. `memory` is the process's; it must be readable where
    /// the mappings are, whatever their protection, for images whose pages are not readable to be found.
    #[must_use]
    pub fn read(mappings: &[Mapping], memory: &'m (dyn Memory + Sync), context: Context) -> Self {
        let search = Search {
            mappings,
            space: Space(memory),
            context: Arc::new(context),
            budget: budget(mappings),
        };
        let candidates = search.candidates().into_iter();
        let images = candidates.filter_map(|header| search.image_at(header));
        let mut this = Self {
            images: images.collect(),
            scopes: Vec::new(),
            startup: OnceLock::new(),
            orders: Vec::new(),
            consistent: true,
            linked: false,
        };
        let maps = this.link_maps(search.space);
        this.add_listed(&search, &maps);
        this.number();
        this.place_in_namespaces(&maps);
        this.orders.resize_with(this.images.len(), OnceLock::new);
        this
    }

    /// All images by ascending address.
    pub fn iter(&self) -> impl Iterator<Item = &Image<'m>> {
        self.images.iter()
    }

    /// The image of this number.
    ///
    /// # Panics
    /// When the number comes from other `Images`.
    #[must_use]
    pub fn get(&self, id: ImageId) -> &Image<'m> {
        &self.images[id.0]
    }

    /// The executable.
    #[must_use]
    pub fn main(&self) -> Option<&Image<'m>> {
        self.images.iter().find(|image| image.is_main())
    }

    /// The image in one of whose segments the address lies.
    #[must_use]
    pub fn at(&self, address: RunAddr) -> Option<&Image<'m>> {
        let after = self.images.partition_point(|image| image.header <= address);
        let below = self.images[..after].iter().rev();
        below
            .chain(&self.images[after..])
            .find(|image| image.contains(address))
    }

    /// The images with this build ID: several when one file is mapped more than once.
    pub fn with_build_id(&self, id: &BuildId) -> impl Iterator<Item = &Image<'m>> {
        let id = id.clone();
        self.images
            .iter()
            .filter(move |image| image.build_id.as_ref() == Some(&id))
    }

    /// Whether the dynamic loader's lists were complete and at rest. If not, a library was being loaded or
    /// unloaded: read again.
    #[must_use]
    pub fn consistent(&self) -> bool {
        self.consistent
    }

    /// Whether the kernel and the dynamic loader have begun the program: the auxiliary vector is written at the very end of an
    /// exec(2) (`create_elf_tables` in `fs/binfmt_elf.c`), and the loader's list before it maps anything.
    #[must_use]
    pub fn started(&self) -> bool {
        let Some(main) = self.main() else {
            return false;
        };
        let told = main.context.auxv.get(libc::AT_PHDR).is_some();
        told && (self.linked || main.segment(PT_INTERP).is_none())
    }

    fn link_maps(&self, space: Space<'_>) -> LinkMaps {
        match self.r_debug() {
            Some(address) => LinkMaps::read(space, address),
            None => LinkMaps {
                namespaces: Vec::new(),
                consistent: true,
            },
        }
    }

    /// `DT_DEBUG` of the executable; else `_r_debug` of the dynamic loader, for executables linked without, and
    /// for a loader that was itself started as a program.
    fn r_debug(&self) -> Option<RunAddr> {
        let main = self.main()?;
        let told = main.dynamic().get(DT_DEBUG).filter(|&address| address != 0);
        let base = main.context.auxv.get(libc::AT_BASE);
        let base = base.map_or(main.header, RunAddr);
        let of_loader = || {
            let loader = self.images.iter().find(|image| image.header == base)?;
            let index = loader.definition("_r_debug", None)?;
            let symbol = loader.dynamic_symbols().table.get(index)?;
            Some(loader.run(LinkAddr(symbol.st_value)))
        };
        told.map(RunAddr).or_else(of_loader)
    }

    /// Adds images that only the loader's lists tell of: those that no longer begin with a file's page.
    fn add_listed(&mut self, search: &Search<'_, 'm>, maps: &LinkMaps) {
        let known: HashSet<Entry> = self.images.iter().filter_map(entry_of).collect();
        let listed = maps.namespaces.iter().flatten();
        let unknown = listed.filter(|entry| !known.contains(entry));
        let found = unknown.filter_map(|entry| {
            let image = search.image_at(RunAddr(entry.bias))?;
            (entry_of(&image) == Some(*entry)).then_some(image)
        });
        self.images.extend(found);
    }

    fn number(&mut self) {
        self.images.sort_by_key(|image| image.header);
        self.images.dedup_by_key(|image| image.header);
        for (index, image) in self.images.iter_mut().enumerate() {
            image.id = ImageId(index);
        }
    }

    fn place_in_namespaces(&mut self, maps: &LinkMaps) {
        self.consistent = maps.consistent;
        self.linked = maps.namespaces.iter().any(|list| !list.is_empty());
        let images = self.images.iter();
        let by_entry: HashMap<Entry, ImageId> = images
            .filter(|image| image.role != Role::Vdso)
            .filter_map(|image| Some((entry_of(image)?, image.id)))
            .collect();
        for (number, entries) in maps.namespaces.iter().enumerate() {
            let listed = entries.iter().filter_map(|entry| by_entry.get(entry));
            let scope: Vec<ImageId> = listed.copied().collect();
            for id in &scope {
                let namespace = &mut self.images[id.0].namespace;
                // The loader itself is in all of them.
                if *namespace == Namespace::Unlisted {
                    *namespace = match number {
                        0 => Namespace::Base,
                        number => Namespace::Other(number),
                    };
                }
            }
            self.scopes.push(scope);
        }
        let first = maps.namespaces.first().and_then(|entries| entries.first());
        self.settle_main(first.and_then(|entry| by_entry.get(entry).copied()));
    }

    /// The first that the loader lists is the executable: a loader that was started as a program is none.
    fn settle_main(&mut self, first: Option<ImageId>) {
        let told = self.images.iter().position(Image::is_main).map(ImageId);
        let Some(main) = first.or(told) else {
            return;
        };
        if let Some(told) = told {
            self.images[told.0].role = Role::Library;
        }
        self.images[main.0].role = Role::Main;
        self.images[main.0].namespace = Namespace::Base;
        match self.scopes.first_mut() {
            Some(scope) if !scope.is_empty() => {}
            Some(scope) => scope.push(main),
            None => self.scopes.push(vec![main]),
        }
    }
}

/// What the loader's list says of an image.
fn entry_of(image: &Image<'_>) -> Option<Entry> {
    let dynamic = image.segment(PT_DYNAMIC)?;
    Some(Entry {
        bias: image.bias,
        dynamic: image.run(dynamic.address),
    })
}
