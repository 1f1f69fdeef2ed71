//! The order in which the dynamic loader searches images for a name (ld.so(8), dlopen(3)).

use super::dynamic::{DT_FLAGS, DT_SYMBOLIC};
use super::image::{Image, ImageId};
use super::images::Images;
use livepatch_bundle::RunAddr;
use std::collections::{HashMap, HashSet};

/// `DF_SYMBOLIC` in `DT_FLAGS`.
const DF_SYMBOLIC: u64 = 2;

/// What the search orders of single images of a namespace are made of.
#[derive(Debug)]
pub(super) struct Startup {
    /// By soname and by file name, the first in search order.
    by_name: HashMap<String, ImageId>,
    /// How many of the search order were loaded at the start.
    len: usize,
    /// Of each that was loaded later: what was opened for it to be loaded, whose own libraries it sees.
    opened: HashMap<ImageId, ImageId>,
}

/// What the loader searches for code of one image.
#[derive(Debug, Default)]
pub(super) struct SearchOrder {
    /// What it searches whatever dlopen(3) was told.
    pub(super) sure: Vec<ImageId>,
    /// If it was loaded later: what was opened with it and what it was linked with, which come first with `RTLD_DEEPBIND`.
    pub(super) groups: Vec<Vec<ImageId>>,
    /// What was opened by others: searched if it was opened with `RTLD_GLOBAL`.
    pub(super) rest: Vec<ImageId>,
}

impl Images<'_> {
    /// The images of the base namespace in the order in which the dynamic loader searches them; the
    /// executable alone when there is no loader.
    #[must_use]
    pub fn scope_order(&self) -> &[ImageId] {
        self.scopes.first().map_or(&[], Vec::as_slice)
    }

    /// The same of the namespace that the image is in (dlmopen(3)).
    #[must_use]
    pub fn scope_around(&self, id: ImageId) -> &[ImageId] {
        let scope = self.scopes.get(self.get(id).namespace.number());
        scope.map_or(&[], Vec::as_slice)
    }

    /// What the loader surely searches for code of `from`, and what it may search.
    #[must_use]
    pub(super) fn search_of(&self, from: ImageId) -> &SearchOrder {
        self.orders[from.0].get_or_init(|| self.make_order(from))
    }

    fn make_order(&self, from: ImageId) -> SearchOrder {
        let scope = self.scope_around(from);
        let mut order = SearchOrder::default();
        if is_symbolic(self.get(from)) {
            order.sure.push(from);
        }
        if let Some(startup) = self.startups().get(self.get(from).namespace.number()) {
            let (early, later) = scope.split_at(startup.len);
            order.sure.extend_from_slice(early);
            let opened = startup.opened.get(&from).copied().unwrap_or(from);
            let groups = [opened, from].map(|root| self.closure(root, &startup.by_name));
            groups.iter().for_each(|group| order.sure.extend(group));
            if !early.contains(&from) {
                order.groups.extend(groups);
            }
            order.rest.extend_from_slice(later);
        }
        let mut seen = HashSet::new();
        order.sure.retain(|&id| seen.insert(id));
        order.rest.retain(|&id| seen.insert(id));
        order
    }

    /// The order in which the loader searches for code of `from`: the image itself if it is linked
    /// `-Bsymbolic`; what was loaded at the start; what was opened together with `from`, breadth first (`l_searchlist` of the
    /// library that dlopen(3) was asked for); the rest, which the loader would search only if it was loaded with
    /// `RTLD_GLOBAL`. All of its own namespace.
    #[must_use]
    pub fn scope_order_of(&self, from: ImageId) -> Vec<ImageId> {
        let order = self.search_of(from);
        [&order.sure[..], &order.rest].concat()
    }

    fn startups(&self) -> &[Startup] {
        let startups = || {
            self.scopes
                .iter()
                .map(|scope| self.startup(scope))
                .collect()
        };
        self.startup.get_or_init(startups)
    }

    /// Libraries that were loaded at the start come before those loaded later: the last of them is the last
    /// that the executable needs. In another namespace, that what was opened first needs (`_ns_main_searchlist`).
    fn startup(&self, scope: &[ImageId]) -> Startup {
        let by_name = self.names(scope);
        let main = self.main().map(|main| main.id);
        let root = main
            .filter(|main| scope.contains(main))
            .or(scope.first().copied());
        let needed = root.map(|root| self.closure(root, &by_name)).into_iter();
        let mut needed: HashSet<ImageId> = needed.flatten().collect();
        needed.extend(self.loader());
        let last = scope.iter().rposition(|id| needed.contains(id));
        let len = last.map_or(0, |last| last + 1);
        Startup {
            len,
            opened: self.opened(&scope[len..], &by_name),
            by_name,
        }
    }

    /// The dynamic loader, which is there from the start.
    #[must_use]
    pub fn loader(&self) -> Option<ImageId> {
        let base = self.main()?.context.auxv.get(libc::AT_BASE)?;
        let mut images = self.iter();
        images
            .find(|image| image.header == RunAddr(base))
            .map(|image| image.id)
    }

    /// What was opened comes before what was loaded for it.
    fn opened(
        &self,
        later: &[ImageId],
        by_name: &HashMap<String, ImageId>,
    ) -> HashMap<ImageId, ImageId> {
        let mut opened = HashMap::new();
        for &id in later {
            if !opened.contains_key(&id) {
                for other in self.closure(id, by_name) {
                    opened.entry(other).or_insert(id);
                }
            }
        }
        opened
    }

    fn names(&self, scope: &[ImageId]) -> HashMap<String, ImageId> {
        let mut names = HashMap::new();
        for &id in scope {
            let image = self.get(id);
            for name in image.names() {
                names.entry(name.to_owned()).or_insert(id);
            }
        }
        names
    }

    /// An image and what it was linked with, breadth first.
    fn closure(&self, root: ImageId, by_name: &HashMap<String, ImageId>) -> Vec<ImageId> {
        let mut order = vec![root];
        let mut seen = HashSet::from([root]);
        let mut at = 0;
        while let Some(&id) = order.get(at) {
            let needed = self.get(id).needed().iter();
            let found = needed.filter_map(|name| by_name.get(name).copied());
            order.extend(found.filter(|&other| seen.insert(other)));
            at += 1;
        }
        order
    }
}

fn is_symbolic(image: &Image<'_>) -> bool {
    let dynamic = image.dynamic();
    let flags = dynamic.get(DT_FLAGS).unwrap_or(0);
    dynamic.get(DT_SYMBOLIC).is_some() || flags & DF_SYMBOLIC != 0
}
