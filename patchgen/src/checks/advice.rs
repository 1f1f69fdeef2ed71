//! What the author of a patch should know, and what stack checks should.

use crate::closure::Closure;
use crate::compare::dated;
use crate::object::{AtomId, AtomKind, Object, Role, names};
use crate::program::{OldAtom, Program, Unit};
use livepatch_bundle::literal;
use std::collections::BTreeSet;

/// What the author should know.
#[must_use]
pub fn warnings(program: &Program<'_>, closure: &Closure<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for replaced in &closure.replaced {
        let object = &program.units[replaced.old.unit].pair.old;
        let name = object.label(replaced.old.atom);
        if name == "main" {
            found.push(
                "`main` is on the stack as long as the program runs: the patch cannot be applied \
                        unless `--consistency function` waives the check"
                    .to_owned(),
            );
        }
        found.extend(tail_calls(object, replaced.old.atom, &name));
    }
    for new in &closure.carried {
        let object = &program.units[new.unit].pair.new;
        let code = object.atom(new.atom).kind == AtomKind::Function;
        if code && object.frame(new.atom).is_none() {
            let name = object.label(new.atom);
            found.push(format!(
                "`{name}` has no unwind information (`.eh_frame`): stacks through it cannot be judged with certainty"
            ));
        }
    }
    found.extend(program.units.iter().filter_map(other_date));
    for unit in program
        .units
        .iter()
        .filter(|unit| unit.pair.new.sections.is_empty())
    {
        found.push(format!(
            "`{}` has no new version: what runs of it stays",
            unit.pair.name
        ));
    }
    found
}

/// A date that changed is taken for that of the build, which it need not be.
fn other_date(unit: &Unit<'_>) -> Option<String> {
    let [before, now] =
        [&unit.pair.old, &unit.pair.new].map(|object| dated(object).collect::<BTreeSet<_>>());
    let changed = now.difference(&before).next()?;
    (!before.is_empty()).then(|| {
        format!(
            "`{}`: a date is another one now, in {}, and was taken for that of the build (`__DATE__`), which is no change",
            unit.pair.name,
            literal(changed)
        )
    })
}

fn tail_calls(object: &Object<'_>, entry: AtomId, name: &str) -> Option<String> {
    let owner = object.owner(entry)?;
    let pieces = object.function(owner).pieces();
    let links = pieces.flat_map(|piece| object.atom(piece).references());
    let out = links
        .filter(|link| link.site.role == Role::Jump && object.owner(link.target) != Some(owner));
    let targets: BTreeSet<String> = out
        .map(|link| format!("`{}`", object.label(link.target)))
        .collect();
    let targets: Vec<String> = targets.into_iter().collect();
    (!targets.is_empty()).then(|| {
        format!(
            "`{name}` ends by jumping to {}: a thread there is not seen to be in `{name}` (`--quiesce` adds to what \
             may be on no stack)",
            targets.join(", ")
        )
    })
}

/// Functions that were split off changed ones and did not change: whoever is in them is in the changed one, too.
#[must_use]
pub fn split_off(program: &Program<'_>, closure: &Closure<'_>) -> BTreeSet<OldAtom> {
    let replaced: BTreeSet<OldAtom> = closure.replaced.iter().map(|one| one.old).collect();
    let label = |atom: &OldAtom| program.units[atom.unit].pair.old.atom(atom.atom).name;
    let parents: BTreeSet<(usize, &str)> = replaced
        .iter()
        .map(|atom| (atom.unit, label(atom)))
        .collect();
    let units: BTreeSet<usize> = replaced.iter().map(|atom| atom.unit).collect();
    let mut found = BTreeSet::new();
    for unit in units {
        let object = &program.units[unit].pair.old;
        for function in &object.functions {
            let old = OldAtom {
                unit,
                atom: function.entry(),
            };
            let parent = names::part_parent(label(&old));
            let split = parent.is_some_and(|parent| parents.contains(&(unit, parent)));
            if split && !replaced.contains(&old) {
                found.insert(old);
            }
        }
    }
    found
}
