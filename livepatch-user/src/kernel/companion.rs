//! The companion module (`livepatch-kmod`): asked over its device to switch functions all at once.

use super::check::{Fit, Kpatch};
use super::elf::Module;
use super::load::with_module;
use super::plain::{filled_in, unexported};
use super::running::Running;
use super::{KernelError, Misfit};
use crate::plan::Problems;
use livepatch_kernel::live::Wanted;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Where commands are written to.
const DEVICE: &str = "/dev/livepatch_kmod";

/// Loads the patch's module without running anything of it, and leads the functions to its code.
///
/// # Errors
/// See the variants; nothing has changed.
pub fn apply(
    patch: &Kpatch,
    fit: &Fit,
    running: &Running,
    timeout: Duration,
) -> Result<(), KernelError> {
    let manifest = &patch.manifest;
    let misfit = |why: &str| KernelError::Misfit {
        patch: manifest.name.clone(),
        reasons: Problems(vec![Misfit::Atomic(why.to_owned())]),
    };
    if running.enforcement().is_some() {
        return Err(misfit(
            "needs a kernel that takes unsigned modules, since it changes the module",
        ));
    }
    let module = Module::parse(&patch.bytes).map_err(|_| misfit("cannot read the module"))?;
    let late = module.late_references();
    if !late.is_empty() {
        let why = format!(
            "cannot do what refers to the insides of modules, here {}",
            late.join(", ")
        );
        return Err(misfit(&why));
    }
    let functions = manifest.objects.iter().map(|object| object.functions.len());
    let told = module.code_references();
    if told != Some(functions.sum()) && told != Some(0) {
        return Err(misfit(
            "cannot do what has hooks, which only the kernel's livepatch core calls",
        ));
    }
    let device = open()?;
    let inert = module
        .inert()
        .map_err(|why| misfit(&format!("cannot make use of the module: {why}")))?;
    let inert = if running.has_livepatch() {
        inert
    } else {
        let module = Module::parse(&inert).map_err(|_| misfit("cannot read the module"))?;
        without_core(&module, running, &misfit)?
    };
    with_module(&inert, &manifest.module, || {
        let text = request(patch, fit, &module, running, timeout)?;
        command(device, &text)
    })
}

/// The module with what the kernel's livepatch core would fill in.
fn without_core(
    module: &Module<'_>,
    running: &Running,
    misfit: &dyn Fn(&str) -> KernelError,
) -> Result<Vec<u8>, KernelError> {
    let wanted = unexported(module).map_err(|why| misfit(&why))?;
    let names = wanted.iter().map(|one| one.name.as_str()).collect();
    let symbols = running.symbols(&Wanted {
        names,
        suffix: None,
    })?;
    filled_in(module, &wanted, &symbols).map_err(|why| misfit(&why))
}

/// Leads the functions back to old code.
///
/// # Errors
/// See the variants.
pub fn revert(name: &str, timeout: Duration) -> Result<(), KernelError> {
    let deadline = timeout.as_millis();
    command(open()?, &format!("revert {name} {deadline}\nend\n"))
}

fn open() -> Result<File, KernelError> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    device.map_err(|error| KernelError::NoCompanion(format!("`{DEVICE}`: {error}")))
}

/// The request to apply, in the companion's words (`livepatch-kmod/src/command.rs`).
fn request(
    patch: &Kpatch,
    fit: &Fit,
    module: &Module<'_>,
    running: &Running,
    timeout: Duration,
) -> Result<String, KernelError> {
    let manifest = &patch.manifest;
    let lacks = |symbol: &str| KernelError::Misfit {
        patch: manifest.name.clone(),
        reasons: Problems(vec![Misfit::NoNewCode(symbol.to_owned())]),
    };
    let mut text = format!(
        "apply {} {} {}\n",
        manifest.name,
        manifest.module,
        timeout.as_millis()
    );
    for function in &fit.functions {
        let found = module.function(&function.new);
        let place = found.and_then(|new| {
            let section = running.section(&manifest.module, new.section)?;
            Some((section.checked_add(new.offset)?, new.size))
        });
        let (new, size) = place.ok_or_else(|| lacks(&function.new))?;
        let _ = writeln!(
            text,
            "function {:x} {:x} {new:x} {size:x} {}",
            function.address, function.size, function.name
        );
    }
    for piece in &fit.pieces {
        let _ = writeln!(
            text,
            "busy {:x} {:x} {}",
            piece.address, piece.size, piece.name
        );
    }
    text.push_str("end\n");
    Ok(text)
}

fn command(mut device: File, text: &str) -> Result<(), KernelError> {
    let written = device.write(text.as_bytes());
    let mut report = String::new();
    let read = device.read_to_string(&mut report);
    let report = report.trim_end();
    match written {
        Ok(_) => Ok(()),
        Err(error) if report.is_empty() || read.is_err() => {
            Err(KernelError::Companion(error.to_string()))
        }
        Err(error) => Err(told(report, &error)),
    }
}

/// The error that a report means (`livepatch-kmod/src/report.rs`).
fn told(report: &str, error: &io::Error) -> KernelError {
    let report = crate::printable::one_line(report).into_owned();
    match report.split_once(' ') {
        Some(("busy", rest)) => KernelError::InTheWay(rest.to_owned()),
        Some(("draining", rest)) => KernelError::HalfWay {
            patch: "the patch".into(),
            what: format!(
                "old code is in force again, and a task is in new code still, so that its module stays ({rest}); revert it again"
            ),
        },
        Some(("error", rest)) => KernelError::Companion(rest.to_owned()),
        _ => KernelError::Companion(format!("{report} ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    #[test]
    fn reports_become_errors_with_their_status() {
        let error = io::Error::from_raw_os_error(16);
        for (report, status) in [
            ("busy pid=7 comm=\"dd\": at 0x1", Status::Busy),
            ("draining pid=7 comm=\"dd\": at 0x1", Status::Broken),
            ("error taken: somebody else redirects `f`", Status::Refused),
            ("nonsense", Status::Refused),
        ] {
            assert_eq!(told(report, &error).status(), status, "{report}");
        }
    }
}
