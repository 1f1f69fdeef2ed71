//! All images of a process.

use super::context::Context;
use super::discover::Search;
use super::dynamic::DT_DEBUG;
use super::image::{Image, ImageId, Namespace, Role, Space};
use super::link_map::{Entry, LinkMaps};
use crate::memory::Memory;
use crate::process::Mapping;
use livepatch_bundle::{BuildId, LinkAddr, RunAddr};
use std::sync::Arc;

/// The images that a process maps, as they were when they were read.
///
/// Symbols and relocations are read from memory and files when first asked for; memory that the process has
/// unmapped meanwhile reads as absent.
#[derive(Debug)]
pub struct Images<'m> {
    images: Vec<Image<'m>>,
    scope: Vec<ImageId>,
    consistent: bool,
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
        };
        let candidates = search.candidates().into_iter();
        let images = candidates.filter_map(|header| search.image_at(header));
        let mut this = Self {
            images: images.collect(),
            scope: Vec::new(),
            consistent: true,
        };
        let maps = this.link_maps(search.space);
        this.add_listed(&search, &maps);
        this.number();
        this.place_in_namespaces(&maps);
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

    /// The images of the base namespace in the order in which the dynamic loader searches them; the
    /// executable alone when there is no loader.
    #[must_use]
    pub fn scope_order(&self) -> &[ImageId] {
        &self.scope
    }

    /// Whether the dynamic loader's lists were complete and at rest. If not, a library was being loaded or
    /// unloaded: read again.
    #[must_use]
    pub fn consistent(&self) -> bool {
        self.consistent
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

    /// `DT_DEBUG` of the executable; else `_r_debug` of the dynamic loader, for executables linked without.
    fn r_debug(&self) -> Option<RunAddr> {
        let main = self.main()?;
        let told = main.dynamic().get(DT_DEBUG).filter(|&address| address != 0);
        let base = main.context.auxv.get(libc::AT_BASE);
        let of_loader = || {
            let loader = self
                .images
                .iter()
                .find(|image| Some(image.header.0) == base)?;
            let symbols = loader.dynamic_symbols();
            let index = symbols.definition("_r_debug", None)?;
            let symbol = symbols.table.get(index)?;
            Some(loader.run(LinkAddr(symbol.st_value)))
        };
        told.map(RunAddr).or_else(of_loader)
    }

    /// Adds images that only the loader's list tells of, and those that no longer begin with a file's page.
    fn add_listed(&mut self, search: &Search<'_, 'm>, maps: &LinkMaps) {
        for entry in maps.namespaces.iter().flatten() {
            let known = self.images.iter().any(|image| is_entry(image, *entry));
            if !known {
                let header = RunAddr(entry.bias);
                let image = search.image_at(header);
                self.images
                    .extend(image.filter(|image| is_entry(image, *entry)));
            }
        }
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
        for (number, entries) in maps.namespaces.iter().enumerate() {
            for entry in entries {
                let found = self.images.iter_mut().find(|image| is_entry(image, *entry));
                let Some(image) = found.filter(|image| image.role != Role::Vdso) else {
                    continue;
                };
                if image.namespace != Namespace::Unlisted {
                    continue;
                }
                image.namespace = match number {
                    0 => Namespace::Base,
                    _ => Namespace::Other,
                };
                if number == 0 {
                    self.scope.push(image.id);
                }
            }
        }
        if self.scope.is_empty()
            && let Some(main) = self.images.iter_mut().find(|image| image.is_main())
        {
            main.namespace = Namespace::Base;
            self.scope.push(main.id);
        }
    }
}

/// Whether a list entry means this image.
fn is_entry(image: &Image<'_>, entry: Entry) -> bool {
    use goblin::elf64::program_header::PT_DYNAMIC;
    let dynamic = image.segment(PT_DYNAMIC);
    dynamic.is_some_and(|segment| image.run(segment.address) == entry.dynamic)
        && image.bias == entry.bias
}
