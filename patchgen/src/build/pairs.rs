//! Which link makes the target, and which of its objects changed.

use super::error::BuildError;
use super::linked::keep_linked;
use super::record::{Input, Link, Record};
use crate::target::Image;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An object of the program in both builds, with its name.
#[derive(Debug)]
pub(super) struct Paired<'r> {
    pub name: String,
    pub old: Option<&'r Input>,
    pub new: Option<&'r Input>,
}

impl Paired<'_> {
    /// Whether the bytes differ.
    pub(super) fn is_changed(&self) -> bool {
        self.old.map(|input| &input.digest) != self.new.map(|input| &input.digest)
    }
}

/// Where to look for what the builds made.
pub(super) struct Outputs<'p> {
    /// The source tree.
    pub source: &'p Path,
    /// The copy that the old build ran in.
    pub copy: &'p Path,
    /// Where linked objects are kept.
    pub store: &'p Path,
}

impl Outputs<'_> {
    /// Where a file of the old build is now.
    fn actual(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.source)
            .map_or_else(|_| path.to_owned(), |inside| self.copy.join(inside))
    }

    /// The objects of a link with those of the new build's link of the same output. Changed members of archives count
    /// only where the linker took them in.
    pub(super) fn paired<'r>(&self, old: &'r Link, new: &'r Record) -> Vec<Paired<'r>> {
        let mut pairs = paired(old, new);
        keep_linked(&mut pairs, old, &self.actual(&old.output), self.store);
        pairs
    }

    /// The link of the old build that is called `named`, that made `target`, or that is the only one with changes.
    pub(super) fn choose<'r>(
        &self,
        named: Option<&Path>,
        target: Option<(&Path, &Image)>,
        old: &'r Record,
        new: &Record,
    ) -> Result<Option<&'r Link>, BuildError> {
        let links = last_of_each(old);
        if let Some(named) = named {
            let found = links.get(self.source.join(named).as_path());
            let none = || BuildError::NoTarget {
                target: named.to_owned(),
                linked: links.keys().map(|path| self.within(path)).collect(),
            };
            return found.map(|link| Some(*link)).ok_or_else(none);
        }
        let Some((path, target)) = target else {
            return self.only_changed(&links, new);
        };
        let images = links
            .values()
            .filter_map(|link| Some((*link, Image::read(&self.actual(&link.output)).ok()?)));
        let images: Vec<(&Link, Image)> = images.collect();
        let same_id = |image: &Image| {
            image.module.build_id.is_some() && image.module.build_id == target.module.build_id
        };
        let same_name = |link: &Link, image: &Image| {
            let name = |path: &Path| {
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            };
            image.module.soname.is_some() && image.module.soname == target.module.soname
                || name(&link.output) == Some(target.module.file_name.clone())
                || name(&link.output) == name(path)
        };
        let by_id: Vec<&Link> = images
            .iter()
            .filter(|(_, image)| same_id(image))
            .map(|(link, _)| *link)
            .collect();
        if let Some(link) = by_id.first() {
            return Ok(Some(link));
        }
        let by_name = images.iter().filter(|(link, image)| same_name(link, image));
        let by_name: Vec<&Link> = by_name.map(|(link, _)| *link).collect();
        match by_name[..] {
            [] => Err(BuildError::NoTarget {
                target: path.to_owned(),
                linked: images
                    .iter()
                    .map(|(link, _)| self.within(&link.output))
                    .collect(),
            }),
            [link] => Ok(Some(link)),
            _ => Err(BuildError::Several(
                by_name
                    .iter()
                    .map(|link| self.within(&link.output))
                    .collect(),
            )),
        }
    }

    /// The only link with changed objects; of several with the same ones the first.
    fn only_changed<'r>(
        &self,
        links: &BTreeMap<&Path, &'r Link>,
        new: &Record,
    ) -> Result<Option<&'r Link>, BuildError> {
        let mut changed: Vec<(&Link, Vec<String>)> = Vec::new();
        // What a configuration script tries is gone at the end.
        let stays = |link: &&&'r Link| self.actual(&link.output).exists();
        for link in links.values().filter(stays) {
            let names: Vec<String> = self
                .paired(link, new)
                .into_iter()
                .filter(Paired::is_changed)
                .map(|pair| pair.name)
                .collect();
            if !names.is_empty() {
                changed.push((link, names));
            }
        }
        let alike = changed.windows(2).all(|two| two[0].1 == two[1].1);
        match changed.first() {
            None => Ok(None),
            Some((link, _)) if alike => Ok(Some(link)),
            Some(_) => Err(BuildError::Several(
                changed
                    .iter()
                    .map(|(link, _)| self.within(&link.output))
                    .collect(),
            )),
        }
    }

    /// The path within the source tree.
    fn within(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.source).unwrap_or(path).to_owned()
    }
}

/// Links by output; what is linked again is what counts.
fn last_of_each(record: &Record) -> BTreeMap<&Path, &Link> {
    record
        .links
        .iter()
        .map(|link| (link.output.as_path(), link))
        .collect()
}

/// The objects of a link with those of the new build's link of the same output, by name.
fn paired<'r>(old: &'r Link, new: &'r Record) -> Vec<Paired<'r>> {
    let mut pairs: BTreeMap<String, Paired<'r>> = BTreeMap::new();
    let mut enter = |input: &'r Input, count: &mut BTreeMap<String, usize>, is_new: bool| {
        let name = name_of(input);
        let number = count.entry(name.clone()).or_default();
        *number += 1;
        let name = if *number == 1 {
            name
        } else {
            format!("{name}#{number}")
        };
        let pair = pairs.entry(name.clone()).or_insert(Paired {
            name,
            old: None,
            new: None,
        });
        *(if is_new { &mut pair.new } else { &mut pair.old }) = Some(input);
    };
    let mut count = BTreeMap::new();
    old.inputs
        .iter()
        .for_each(|input| enter(input, &mut count, false));
    let mut count = BTreeMap::new();
    let same = new
        .links
        .iter()
        .rev()
        .find(|link| link.output == old.output);
    for input in same.iter().flat_map(|link| &link.inputs) {
        enter(input, &mut count, true);
    }
    pairs.into_values().collect()
}

/// The object's path, with the member in an archive; the compiler's own temporary names say nothing.
fn name_of(input: &Input) -> String {
    if let Some((_, source)) = input.compiled {
        return format!("source {}", source + 1);
    }
    match &input.member {
        Some(member) => format!("{}({member})", input.path.display()),
        None => input.path.display().to_string(),
    }
}
