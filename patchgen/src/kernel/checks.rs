//! What speaks against a patch for the kernel, beside what speaks against any.

use super::callbacks;
use super::place::PER_CPU;
use super::running::differs;
use super::symbols::Host;
use crate::closure::{Closure, Destination};
use crate::object::tables::is_initial;
use crate::object::{AtomKind, Link, traced_at};
use crate::program::{NewAtom, OldAtom, Program};
use crate::refusal::Refusal;
use livepatch_bundle::LinkAddr;
use livepatch_kernel::module::ModuleSymbol;

/// What the author should know.
pub(super) fn warnings(program: &Program<'_>, closure: &Closure<'_>) -> Vec<String> {
    let past = closure.past.iter().map(|old| {
        let name = program.units[old.unit].pair.old.label(old.atom);
        format!(
            "constants of `{name}` changed, which ran when the kernel started: it stays as it is"
        )
    });
    let ignored = program.units.iter().flat_map(|unit| {
        let name = |function| unit.pair.new.function_name(function);
        unit.comparison.ignored().map(name).map(|name| {
            format!("`{name}` changed and stays as it is, as the new source says (`KPATCH_IGNORE_FUNCTION`)")
        })
    });
    let followed = program.units.iter().flat_map(|unit| {
        let new = unit.correlation.followed.iter();
        new.map(|id| unit.pair.new.atom(*id).name).map(|name| {
            format!("`{name}` went to a new function and is taken for the variable that there was, with its value")
        })
    });
    past.chain(ignored).chain(followed).collect()
}

/// Every reason.
pub(super) fn refusals(
    program: &Program<'_>,
    closure: &Closure<'_>,
    host: &Host<'_>,
) -> Vec<Refusal> {
    let mut found = Vec::new();
    for one in &closure.replaced {
        let reason = replaced(program, one.old, host);
        found.extend(reason.map(|reason| Refusal::new(program, one.new, reason)));
    }
    for new in &closure.carried {
        let reason = carried(program, *new).or_else(|| unfinished(program, *new, host));
        found.extend(reason.map(|reason| Refusal::new(program, *new, reason.to_owned())));
        let destinations = closure.destinations.get(new).into_iter().flatten();
        found.extend(destinations.filter_map(|to| gone(program, *new, to)));
    }
    found.extend(callbacks::refusals(program, closure));
    found
}

fn replaced(program: &Program<'_>, old: OldAtom, host: &Host<'_>) -> Option<String> {
    let object = &program.units[old.unit].pair.old;
    let atom = object.atom(old.atom);
    if is_initial(object.section_name(old.atom)) {
        return Some("it is initialisation code, which has run and is gone".to_owned());
    }
    if traced_at(object, old.atom).is_none() {
        let reason = "the old function has no place for ftrace (`notrace`, or too early), through which livepatches go";
        return Some(reason.to_owned());
    }
    if let Some((module, file)) = host.module {
        let mut named = file.named(atom.name).peekable();
        if named.peek().is_none() {
            return Some(format!("module `{module}` has no function of this name"));
        }
        let same = |symbol: &ModuleSymbol| {
            let there = file.bytes(symbol, atom.bytes.len());
            let differs = there.map(|there| differs(atom.bytes, there, &atom.links));
            symbol.size == atom.size && differs == Some(None)
        };
        let found = named.any(same);
        return (!found).then(|| format!("the old code is not that of module `{module}`"));
    }
    let kernel = host.kernel?;
    if host.running.places.contains_key(&old) {
        return None;
    }
    let named: Vec<_> = kernel.symbols.named(atom.name, None).collect();
    let release = &kernel.release;
    Some(match named[..] {
        [] => format!(
            "kernel `{release}` has no function of this name: is it of a module (`--module`)?"
        ),
        [one] => {
            let bytes = kernel.image.bytes(LinkAddr(one.address), atom.bytes.len());
            let at = bytes.and_then(|there| differs(atom.bytes, there, &atom.links));
            let at = at.map_or(String::new(), |at| format!(" at +{at:#x}"));
            format!("the old code is not that of kernel `{release}`: it differs{at}")
        }
        _ => format!(
            "of {} functions of this name in kernel `{release}` not one alone has the old code",
            named.len()
        ),
    })
}

fn carried(program: &Program<'_>, new: NewAtom) -> Option<&'static str> {
    let object = &program.units[new.unit].pair.new;
    let section = object.section_name(new.atom);
    if is_initial(section) {
        return Some("it is initialisation code or data, which a patch cannot bring");
    }
    if section.starts_with(PER_CPU) {
        // The module loader copies a module's variables to all processors, but relocates them not in all releases.
        let address = !object.atom(new.atom).links.is_empty();
        let decrypted = section.ends_with("..decrypted");
        return match (address, decrypted) {
            (true, _) => Some("the initial value of a new per-CPU variable holds an address"),
            (_, true) => Some("a patch cannot bring per-CPU variables that are not encrypted"),
            _ => None,
        };
    }
    let function = object.atom(new.atom).kind == AtomKind::Function;
    let entries = object.attached(new.atom);
    let mut unwind = entries.iter().filter(|one| one.table.companion.is_some());
    let has_unwind = object.sections.iter().any(|one| one.name == ".orc_unwind");
    (function && has_unwind && unwind.all(|entry| entry.at > 0)).then_some(
        "its unwind records (ORC) begin with another function's: compile with `-ffunction-sections`",
    )
}

/// Code that objtool has not seen: the kernel would find neither its returns nor its stack frames.
fn unfinished(program: &Program<'_>, new: NewAtom, host: &Host<'_>) -> Option<&'static str> {
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    if atom.kind != AtomKind::Function {
        return None;
    }
    let is_listed = |link: &Link| {
        let entries = object.attached(new.atom).iter();
        let mut sites = entries.filter(|one| one.table.name == ".return_sites");
        sites.any(|site| u64::try_from(site.at).is_ok_and(|at| at == link.site_start()))
    };
    let returns = |link: &&Link| object.atom(link.target).name == "__x86_return_thunk";
    if !atom.links.iter().filter(returns).all(is_listed) {
        return Some(
            "its returns are not in `.return_sites`: objtool has not worked on the object",
        );
    }
    let unwinder = host
        .kernel
        .map(|kernel| kernel.image.section(".orc_unwind").is_ok());
    let mut records = object.attached(new.atom).iter();
    let has_records = records.any(|one| one.table.companion.is_some());
    (unwinder == Some(true) && !has_records).then_some(
        "it has no unwind records (`.orc_unwind`), without which no stack with it is reliable: objtool has not worked \
         on the object",
    )
}

/// Refuses to use what is gone after the start.
fn gone(program: &Program<'_>, new: NewAtom, to: &Destination<'_>) -> Option<Refusal> {
    let Destination::Running(old) = to else {
        return None;
    };
    let object = &program.units[old.unit].pair.old;
    is_initial(object.section_name(old.atom)).then(|| {
        let label = object.label(old.atom);
        let reason = format!("it uses `{label}`, which is gone when the kernel has started");
        Refusal::new(program, new, reason)
    })
}
