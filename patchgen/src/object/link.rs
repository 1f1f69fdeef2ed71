//! From relocations to links between atoms.

use super::code::{Escape, Site, Sites};
use super::mapping::Mapping;
use super::order::Order;
use super::raw::{Place, Tables};
use super::{Atom, AtomId, AtomKind, Link, Role, names};
use livepatch_bundle::{Class, RelocKind};
use object::elf;

/// Where a relocated field leads, before it is known what lies there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    /// Where the symbol is.
    pub place: Place,
    /// Offset in that section, without the bias of PC-relative fields.
    pub offset: i64,
    /// The bias: what the processor adds to a PC-relative field beyond `P`.
    pub bias: u8,
    /// The instruction; the field itself for data.
    pub site: Site,
}

/// What is needed to tell where a relocation leads.
pub(super) struct Resolver<'t, 'd> {
    pub tables: &'t Tables<'d>,
    /// The instruction that holds the field of each relocation.
    pub sites: Sites,
    /// Sections and offsets where functions begin, sorted.
    pub entries: Vec<(u32, u64)>,
}

impl Resolver<'_, '_> {
    /// Where relocation `index` of `section` leads; `None` when its kind is not understood.
    pub(super) fn lead(&self, section: usize, index: usize) -> Option<Lead> {
        let from = &self.tables.sections[section];
        let relocation = from.relocations.get(index)?;
        let kind = RelocKind::from_elf(relocation.number)?;
        let (place, value) = self.tables.symbols.place(relocation.symbol);
        let site = self.sites.get(section, index);
        let (site, bias) = match site {
            // A relaxable field may stand for a whole instruction; only the distance to its end counts.
            Some(site) if is_relative(kind) => (site, site.after),
            Some(site) => (site, 0),
            None => (Site::data(kind.width()), 0),
        };
        Some(Lead {
            place,
            offset: value
                .cast_signed()
                .wrapping_add(relocation.addend)
                .wrapping_add(bias.into()),
            bias,
            site,
        })
    }

    /// Whether a function that is no split-off piece begins there.
    pub(super) fn is_entry(&self, section: usize, offset: u64) -> bool {
        let entry = (section as u32, offset);
        self.entries.binary_search(&entry).is_ok()
    }
}

/// Whether the field counts from its own place.
fn is_relative(kind: RelocKind) -> bool {
    match kind.class() {
        Class::PcRelative
        | Class::GotSlot
        | Class::GotTpOff
        | Class::TlsGd
        | Class::TlsLd
        | Class::TlsDesc => true,
        Class::GotRelative => kind == RelocKind::GotPc32,
        _ => false,
    }
}

/// Links of every atom, and the atoms of other files that they lead to.
pub(super) struct Linker<'t, 'd> {
    pub resolver: Resolver<'t, 'd>,
    pub order: &'t Order,
    /// By symbol index: the atom of a symbol of another file.
    pub externals: Mapping,
}

impl<'d> Linker<'_, 'd> {
    /// The atom of a symbol of another file.
    pub(super) fn external(&self, symbol: u32) -> Option<AtomId> {
        self.externals.get(symbol).map(AtomId)
    }

    /// Fills in the links of all atoms.
    pub(super) fn link_all(&self, atoms: &mut [Atom<'d>], escapes: &[(usize, Escape)]) {
        for index in 0..atoms.len() {
            let (links, flaws) = self.link(atoms, AtomId(index as u32));
            atoms[index].links = links.into();
            atoms[index].unlinked = !flaws.is_empty();
            if !flaws.is_empty() {
                atoms[index].rare().flaws.extend(flaws);
            }
        }
        for own in escapes.chunk_by(|one, other| one.0 == other.0) {
            self.add_assembled(atoms, own);
        }
        for atom in atoms {
            if atom
                .links
                .windows(2)
                .any(|pair| overlap(&pair[0], &pair[1]))
            {
                let flaw = "its relocations overlap".to_owned();
                atom.rare().flaws.push(flaw);
            }
        }
    }

    /// Adds the links of one atom that the assembler resolved itself.
    fn add_assembled(&self, atoms: &mut [Atom<'d>], escapes: &[(usize, Escape)]) {
        let Some((index, _)) = escapes.first() else {
            return;
        };
        let mut links = atoms[*index].links.to_vec();
        for (_, escape) in escapes {
            match self.assembled(atoms, &atoms[*index], escape) {
                Ok(link) if escape.width == 1 => atoms[*index].rare().shorts.push(link),
                Ok(link) => links.push(link),
                Err(flaw) => atoms[*index].rare().flaws.push(flaw),
            }
        }
        links.sort_by_key(|link| link.offset());
        atoms[*index].links = links.into();
    }

    /// The link that the assembler resolved itself, since both ends are in one section.
    fn assembled(
        &self,
        atoms: &[Atom<'d>],
        atom: &Atom<'d>,
        escape: &Escape,
    ) -> Result<Link, String> {
        let Escape {
            field,
            target,
            site,
            ..
        } = *escape;
        let place = atom.start.cast_signed().wrapping_add(target);
        let found = self.order.find(atoms, atom.section(), place);
        let start = site.start(field);
        let found = found.ok_or_else(|| format!("+{start:#x} leads out of the section"))?;
        let at = place.wrapping_sub(atoms[found.0 as usize].start.cast_signed());
        let kind = match escape.width {
            1 => RelocKind::Pc8,
            4 => RelocKind::Pc32,
            _ => return Err(format!("the jump at +{start:#x} has an unusual width")),
        };
        let mut link = Link::new(field, kind, found, at).ok_or_else(too_far(start))?;
        link.bias = site.after.into();
        link.site = site;
        Ok(link)
    }

    fn link(&self, atoms: &[Atom<'d>], id: AtomId) -> (Vec<Link>, Vec<String>) {
        let atom = &atoms[id.0 as usize];
        let (mut links, mut flaws) = (Vec::new(), Vec::new());
        if atom.section() == 0 {
            return (links, flaws);
        }
        let relocations = &self.resolver.tables.sections[atom.section()].relocations;
        let own = relocations.within(atom.start..atom.start + atom.size);
        links.reserve_exact(own.len());
        for index in own {
            match self.one(atoms, atom, index) {
                Ok(link) => links.push(link),
                Err(flaw) => flaws.push(flaw),
            }
        }
        (links, flaws)
    }

    /// The link of relocation `index` of the section in which `atom` lies.
    pub(super) fn one(
        &self,
        atoms: &[Atom<'d>],
        atom: &Atom<'d>,
        index: usize,
    ) -> Result<Link, String> {
        let tables = self.resolver.tables;
        let entry = tables.sections[atom.section()].relocations.get(index);
        let entry = entry.ok_or("it has fewer relocations")?;
        let offset = entry.offset - atom.start;
        let kind = RelocKind::from_elf(entry.number).ok_or_else(|| {
            format!(
                "relocation type {} at +{offset:#x} is unknown",
                entry.number
            )
        })?;
        if kind.width() as u64 > atom.size - offset {
            return Err(format!("{} at +{offset:#x} runs past its end", kind.name()));
        }
        let lead = self
            .resolver
            .lead(atom.section(), index)
            .ok_or_else(|| format!("relocation type {} is unknown", entry.number))?;
        let site = lead.site;
        let Place::Section(section) = lead.place else {
            let target = self
                .external(entry.symbol)
                .ok_or_else(|| format!("{} at +{offset:#x} has no symbol", kind.name()))?;
            let at = entry.addend.wrapping_add(lead.bias.into());
            let mut link = Link::new(offset, kind, target, at).ok_or_else(too_far(offset))?;
            link.bias = lead.bias.into();
            link.site = site;
            return Ok(link);
        };
        let place = lead
            .offset
            .wrapping_sub(in_table(atom, kind, offset, site.role));
        let symbol = tables.symbols.get(entry.symbol);
        // Where the linker may merge, the symbol alone tells which part is meant, whatever is added to it.
        let merged = tables.sections[section].has(elf::SHF_MERGE);
        let named = symbol.kind != elf::STT_SECTION && (merged || !symbol.name.starts_with(".L"));
        let looked_up = if named {
            symbol.value.cast_signed()
        } else {
            place
        };
        let target = self.order.find(atoms, section, looked_up).ok_or_else(|| {
            let name = tables.sections[section].name;
            format!("{} at +{offset:#x} leads into `{name}`", kind.name())
        })?;
        let computed = matches!(site.role, Role::Address | Role::Indexed);
        let is_data = !atoms[target.0 as usize].kind.is_code();
        let start = atoms[target.0 as usize].start.cast_signed();
        let addend = symbol.value.cast_signed().wrapping_add(entry.addend);
        let bias = i32::try_from(place.wrapping_sub(addend))
            .map_err(|_| format!("{} at +{offset:#x} is too far from its table", kind.name()))?;
        let at = place.wrapping_sub(start);
        let mut link = Link::new(offset, kind, target, at).ok_or_else(too_far(offset))?;
        link.bias = bias;
        link.site = site;
        Ok(link.loose(!named && computed && is_data && self.order.is_shared(section)))
    }
}

fn too_far(offset: u64) -> impl Fn() -> String {
    move || format!("the field at +{offset:#x} leads too far")
}

fn overlap(one: &Link, next: &Link) -> bool {
    one.offset() + one.kind.width() as u64 > next.offset()
}

/// An entry of a table of distances counts from the table's start (`.long .L5 - .Ltable`), so its addend holds
/// the distance of the entry from that start.
fn in_table(atom: &Atom<'_>, kind: RelocKind, offset: u64, role: Role) -> i64 {
    let table = matches!(
        atom.kind,
        AtomKind::JumpTable | AtomKind::ReadOnly | AtomKind::Literal
    );
    if table && role == Role::Data && is_relative(kind) {
        offset.cast_signed()
    } else {
        0
    }
}

/// Sections and offsets where functions begin, sorted. Split-off pieces do not count: a `switch` may jump to their start.
pub(super) fn entries(tables: &Tables<'_>) -> Vec<(u32, u64)> {
    let mut entries = Vec::new();
    for symbol in tables.symbols.iter() {
        let function = matches!(symbol.kind, elf::STT_FUNC | elf::STT_GNU_IFUNC);
        if let Place::Section(section) = symbol.place
            && function
            && names::cold_parent(symbol.name).is_none()
        {
            entries.push((section as u32, symbol.value));
        }
    }
    entries.sort_unstable();
    entries
}
