//! Comparing what tables say about the code of two functions.

use super::Judge;
use super::function::{Aligned, FunctionPair};
use crate::object::{AtomId, Attached};

impl Judge<'_, '_> {
    /// Whether tables say the same about two functions of the same code.
    pub(super) fn attached(&self, functions: &FunctionPair) -> Result<(), String> {
        let Ok(aligned) = &functions.aligned else {
            return Ok(());
        };
        let old = self.pair.old.function(functions.old).pieces();
        let new = self.pair.new.function(functions.new).pieces();
        for (piece, (old, new)) in old.zip(new).enumerate() {
            self.attached_to((aligned, piece), old, new)?;
        }
        Ok(())
    }

    fn attached_to(
        &self,
        (aligned, piece): (&Aligned, usize),
        old: AtomId,
        new: AtomId,
    ) -> Result<(), String> {
        let (old, new) = (
            compared(self.pair.old.attached(old)),
            compared(self.pair.new.attached(new)),
        );
        for (one, other) in old.iter().zip(&new) {
            let place = one.section == other.section && aligned.has(piece, one.at, other.at);
            if !place || blanked(one) != blanked(other) {
                return Err(differs(one));
            }
            self.same_fields(one, other)?;
        }
        match old.get(new.len()).or_else(|| new.get(old.len())) {
            Some(more) => Err(differs(more)),
            None => Ok(()),
        }
    }

    fn same_fields(&self, one: &Attached<'_>, other: &Attached<'_>) -> Result<(), String> {
        let fields = |entry: &Attached<'_>| -> Vec<_> {
            entry
                .links
                .iter()
                .map(|link| (link.offset(), link.kind))
                .collect()
        };
        if fields(one) != fields(other) {
            return Err(differs(one));
        }
        one.links
            .iter()
            .zip(&other.links)
            .try_for_each(|(old, new)| {
                self.same_target((old.target, old.at()), (new.target, new.at()), 0)
                    .map_err(|why| format!("{}: {why}", differs(one)))
            })
    }
}

fn differs(entry: &Attached<'_>) -> String {
    format!(
        "`{}` says something else about +{:#x}",
        entry.section, entry.at
    )
}

/// The entries that the code does not decide, table by table in the order of places.
fn compared<'a, 'd>(entries: &'a [Attached<'d>]) -> Vec<&'a Attached<'d>> {
    let decides = |one: &&Attached<'_>| one.table.compared && !is_disabled(one);
    let mut compared: Vec<_> = entries.iter().filter(decides).collect();
    compared.sort_by_key(|one| (one.section, one.at));
    compared
}

/// Whether it is a branch to itself: what tools that cannot remove an entry of `__jump_table` make of it.
fn is_disabled(entry: &Attached<'_>) -> bool {
    let to = entry.links.first();
    entry.table.name == "__jump_table"
        && to.is_some_and(|to| to.target == entry.owner && to.at() == entry.at)
}

/// The entry without relocated fields and line number.
fn blanked(entry: &Attached<'_>) -> Vec<u8> {
    let mut bytes = entry.bytes.to_vec();
    let fields = entry
        .links
        .iter()
        .map(|link| (link.offset() as usize, link.kind.width()));
    let first = (0, entry.kind.width());
    let line = entry.shape.line.map(|(start, end)| (start, end - start));
    for (start, len) in fields.chain([first]).chain(line) {
        let end = (start + len).min(bytes.len());
        bytes[start.min(end)..end].fill(0);
    }
    bytes
}
