//! Finding a bundle's references in linked files.

use super::image::{Definition, Image};
use crate::refusal::Refusal;
use livepatch_bundle::{Bundle, Function, LinkAddr, Located, Manifest, Reference, Scope};
use livepatch_match::{Code, Field, Target, Via, align};
use std::collections::{BTreeMap, BTreeSet};

/// Records the targets in the manifest and where each has what the bundle refers to. Returns the replaced functions that
/// are not what the targets were built from.
pub fn locate(bundle: &mut Bundle, images: &[Image]) -> Vec<Refusal> {
    let mut places: BTreeMap<String, Vec<Located>> = BTreeMap::new();
    let mut verdicts = vec![Vec::new(); bundle.manifest.functions.len()];
    let mut any = false;
    for (module, image) in images.iter().enumerate() {
        let mut search = Search::new(bundle, image);
        for (function, verdict) in bundle.manifest.functions.iter().zip(&mut verdicts) {
            verdict.push(search.function(function));
        }
        for anchor in &bundle.manifest.anchors {
            any |= search.function(anchor) != Verdict::Absent;
        }
        for (symbol, address) in search.finish() {
            places
                .entry(symbol)
                .or_default()
                .push(Located { module, address });
        }
    }
    for reference in &mut bundle.manifest.references {
        reference.located = places.remove(&reference.symbol).unwrap_or_default();
    }
    bundle.manifest.modules = images.iter().map(|image| image.module.clone()).collect();
    if images.is_empty() {
        return Vec::new();
    }
    let absent = |verdict: &Verdict| *verdict == Verdict::Absent;
    any |= !verdicts.iter().flatten().all(absent);
    let stripped = images.iter().any(|image| image.stripped);
    if !any && stripped && images.iter().all(|image| lacks_code(bundle, image)) {
        let functions = bundle.manifest.functions.iter();
        return functions
            .map(|function| {
                refusal(
                    function,
                    "nothing of the old objects is in the target".into(),
                )
            })
            .collect();
    }
    let functions = bundle.manifest.functions.iter().zip(verdicts);
    let mut refusals: Vec<Refusal> = functions
        .filter_map(|(function, verdicts)| misfit(function, verdicts, images))
        .collect();
    refusals.extend(folded(&bundle.manifest, images));
    refusals
}

/// Replaced functions whose code a target has under a name that no replaced function has: the linker folded another one into it.
fn folded(manifest: &Manifest, images: &[Image]) -> Vec<Refusal> {
    let mut found = Vec::new();
    for function in &manifest.functions {
        let running = function.pieces.first().map(|piece| &piece.running);
        let references = manifest.references.iter();
        let mut own = references.filter(|reference| Some(&reference.symbol) == running);
        let located = own.next().into_iter().flat_map(|own| &own.located);
        for place in located {
            let names = images[place.module].functions_at(place.address);
            let is_known = |name: &str| manifest.functions.iter().any(|one| one.is_called(name));
            let other = names.into_iter().find(|name| !is_known(name));
            found.extend(other.map(|other| Refusal {
                symbol: function.name.clone(),
                object: function.object.clone(),
                reason: format!(
                    "`{other}` of the target has the same code: it was folded by the linker, and would change, too \
                     (link the program without `--icf`)"
                ),
            }));
        }
    }
    found
}

/// What became of a function in one target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Found,
    /// Several places hold this code, and nothing tells them apart.
    Several,
    /// No symbol of its name.
    Absent,
    /// Its symbol is there and the code is another.
    Differs(String),
}

fn misfit(function: &Function, verdicts: Vec<Verdict>, images: &[Image]) -> Option<Refusal> {
    if verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Found | Verdict::Several))
    {
        return None;
    }
    let differs = verdicts.into_iter().find_map(|verdict| match verdict {
        Verdict::Differs(difference) => Some(difference),
        _ => None,
    });
    let reason = match differs {
        Some(difference) => {
            format!("the old object is not what the target was built from: {difference}")
        }
        // Without symbols the code is found when the patch is applied.
        None if images.iter().any(|image| image.stripped) => return None,
        None => "no target has it".to_owned(),
    };
    Some(refusal(function, reason))
}

fn refusal(function: &Function, reason: String) -> Refusal {
    Refusal {
        symbol: function.name.clone(),
        object: function.object.clone(),
        reason,
    }
}

/// Whether a target surely holds none of the bundle's old functions: where symbols name none, `livepatch` looks at the code of each function.
fn lacks_code(bundle: &Bundle, image: &Image) -> bool {
    let search = Search::new(bundle, image);
    let manifest = &bundle.manifest;
    let functions = manifest.functions.iter().chain(&manifest.anchors);
    let mut found = functions.flat_map(|function| {
        let starts = image.starts.iter();
        starts.map(|&start| search.compare(function, start).is_ok())
    });
    !image.stripped || (!image.starts.is_empty() && !found.any(|found| found))
}

struct Search<'s> {
    bundle: &'s Bundle,
    image: &'s Image,
    references: BTreeMap<&'s str, &'s Reference>,
    /// Addresses that matched code says, by bundle symbol.
    evidence: BTreeMap<&'s str, BTreeSet<LinkAddr>>,
    found: BTreeMap<String, LinkAddr>,
}

/// A function that agrees with the code at one address.
#[derive(Default)]
struct Match<'s> {
    pieces: Vec<(&'s str, LinkAddr)>,
    evidence: Vec<(&'s str, LinkAddr)>,
}

impl<'s> Search<'s> {
    fn new(bundle: &'s Bundle, image: &'s Image) -> Self {
        let references = bundle.manifest.references.iter();
        Self {
            bundle,
            image,
            references: references
                .map(|entry| (entry.symbol.as_str(), entry))
                .collect(),
            evidence: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    fn function(&mut self, function: &'s Function) -> Verdict {
        let Some(entry) = function.pieces.first() else {
            return Verdict::Absent;
        };
        let candidates = self.candidates(&entry.running);
        let mut matches = Vec::new();
        let mut difference = None;
        for address in candidates {
            match self.compare(function, address) {
                Ok(found) => matches.push(found),
                Err(text) => difference = difference.or(Some(text)),
            }
        }
        if matches.len() > 1 {
            return Verdict::Several;
        }
        let Some(found) = matches.pop() else {
            return difference.map_or(Verdict::Absent, Verdict::Differs);
        };
        for (symbol, address) in found.pieces {
            self.found.insert(symbol.to_owned(), address);
        }
        for (symbol, address) in found.evidence {
            self.evidence.entry(symbol).or_default().insert(address);
        }
        Verdict::Found
    }

    /// Where the symbol table has the thing, best guesses only: of its source file where there are some.
    fn candidates(&self, symbol: &str) -> BTreeSet<LinkAddr> {
        let Some(reference) = self.references.get(symbol) else {
            return BTreeSet::new();
        };
        let all = self.image.definitions(&reference.name).iter();
        let scoped: Vec<&Definition> = all.filter(|one| fits(one, reference)).collect();
        let addresses = |list: &[&Definition]| list.iter().map(|one| one.address).collect();
        let of_source: Vec<&Definition> = scoped
            .iter()
            .copied()
            .filter(|one| one.source == reference.source)
            .collect();
        if of_source.is_empty() {
            addresses(&scoped)
        } else {
            addresses(&of_source)
        }
    }

    fn compare(&self, function: &'s Function, entry: LinkAddr) -> Result<Match<'s>, String> {
        let mut found = Match::default();
        for (index, piece) in function.pieces.iter().enumerate() {
            let address = if index == 0 {
                Some(entry)
            } else {
                self.piece(piece, &found)
            };
            let address =
                address.ok_or_else(|| format!("its piece `{}` was not found", piece.running))?;
            found.pieces.push((&piece.running, address));
            self.piece_at(&piece.old, address, &mut found)?;
        }
        Ok(found)
    }

    /// Where a split-off piece is: where the code before leads, else where its symbol is.
    fn piece(&self, piece: &livepatch_bundle::Piece, found: &Match<'_>) -> Option<LinkAddr> {
        let names = [piece.old.as_str(), piece.running.as_str()];
        let led = found
            .evidence
            .iter()
            .find(|(symbol, _)| names.contains(symbol));
        let named = || match self
            .candidates(&piece.running)
            .into_iter()
            .collect::<Vec<_>>()[..]
        {
            [only] => Some(only),
            _ => None,
        };
        led.map(|(_, address)| *address).or_else(named)
    }

    fn piece_at(&self, old: &str, address: LinkAddr, found: &mut Match<'s>) -> Result<(), String> {
        let (bytes, fields) = self.code(old).ok_or("its old code is not in the patch")?;
        let window = bytes.len().saturating_mul(2).saturating_add(64);
        let linked = self
            .image
            .code(address, window)
            .ok_or("its symbol is not in code")?;
        let left = Code {
            bytes,
            base: 0,
            fields: Some(&fields),
        };
        let right = Code {
            bytes: linked,
            base: address.0,
            fields: None,
        };
        let alignment = align(&left, &right).map_err(|mismatch| mismatch.to_string())?;
        for pair in &alignment.references {
            let (Target::Symbol { symbol, offset }, Target::Address(value)) =
                (pair.target, pair.other)
            else {
                continue;
            };
            let symbol = self.bundle.symbols.get(symbol as usize);
            let symbol = symbol.ok_or("a relocation has no symbol")?;
            if matches!(pair.via, Via::Direct | Via::Branch) {
                let address = LinkAddr(value).offset(offset.wrapping_neg());
                found.evidence.push((&symbol.name, address));
            }
        }
        Ok(())
    }

    fn code(&self, symbol: &str) -> Option<(&'s [u8], Vec<Field>)> {
        let own = self.bundle.symbol(symbol)?;
        let place = self.bundle.symbols[own.0].definition?;
        let section = self.bundle.sections.get(place.section.0)?;
        let range = place.offset..place.offset.checked_add(place.size)?;
        let relocations = section
            .relocations
            .iter()
            .filter(|entry| range.contains(&entry.offset));
        let field = |entry: &livepatch_bundle::Reloc| Field {
            offset: entry.offset - range.start,
            kind: entry.kind,
            symbol: entry.symbol.0 as u32,
            addend: entry.addend,
            inside: entry.symbol == own,
        };
        let fields = relocations.map(field).collect();
        let bytes = section.data.get(range.start as usize..range.end as usize)?;
        Some((bytes, fields))
    }

    /// Everything found, with what symbols and evidence say about the rest.
    fn finish(self) -> BTreeMap<String, LinkAddr> {
        let mut found = self.found.clone();
        for (symbol, reference) in &self.references {
            if found.contains_key(*symbol) {
                continue;
            }
            let candidates = self.candidates(symbol);
            let evidence = self.evidence.get(symbol).cloned().unwrap_or_default();
            let agreed: Vec<LinkAddr> = candidates.intersection(&evidence).copied().collect();
            let is_piece = is_replaced(self.bundle, reference);
            let address = match (candidates.first(), &agreed[..]) {
                (Some(only), _) if candidates.len() == 1 && !is_piece => Some(*only),
                (_, [one]) => Some(*one),
                _ => None,
            };
            found.extend(address.map(|address| ((*symbol).to_owned(), address)));
        }
        found
    }
}

/// Whether the reference is a piece of a function that must be proven.
fn is_replaced(bundle: &Bundle, reference: &Reference) -> bool {
    let functions = bundle.manifest.functions.iter();
    functions
        .flat_map(|function| &function.pieces)
        .any(|piece| piece.running == reference.symbol)
}

/// Whether a definition may be the thing referred to. A version script may have made a global symbol local.
fn fits(definition: &Definition, reference: &Reference) -> bool {
    match reference.scope {
        Scope::Local => definition.scope == Scope::Local,
        Scope::Global => definition.scope == Scope::Global || definition.made_local,
    }
}
