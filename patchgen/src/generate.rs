//! From two versions of object files to a patch, or to the reasons why there is none.

use crate::closure::Closure;
use crate::emit::{self, Labels, Patch};
use crate::input::{InputError, PairBytes};
use crate::object::{self, Object, ObjectError};
use crate::pair::Pair;
use crate::parallel;
use crate::program::{Program, Unit};
use crate::proof::Proof;
use crate::refusal::Refusal;
use crate::target::{Image, locate};
use crate::types;
use crate::{anchors, checks, twins};
use livepatch_bundle::Bundle;
use thiserror::Error;

/// Why neither a patch nor a verdict came out.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// Files could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An object file could not be read.
    #[error("cannot read the {version} object `{name}`")]
    Object {
        /// Its name in the directory or archive, or its file name.
        name: String,
        /// Old or new.
        version: &'static str,
        /// Why.
        source: ObjectError,
    },
    /// `--quiesce` names functions that are not there.
    #[error("the old objects define no function {}", listed(.0))]
    Quiesce(Vec<String>),
    /// `--allow-data` names variables that are not there.
    #[error("the objects have no variable {}", listed(.0))]
    AllowData(Vec<String>),
    /// `--allow-layout` names types that are not there.
    #[error("no object with new code describes a type {}", listed(.0))]
    AllowLayout(Vec<String>),
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Refuses names that options give and nothing has.
pub(crate) fn refuse_unknown(
    names: Vec<String>,
    error: fn(Vec<String>) -> GenerateError,
) -> Result<(), GenerateError> {
    match names.is_empty() {
        true => Ok(()),
        false => Err(error(names)),
    }
}

/// What the user asks for beside the objects.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name, description, functions to quiesce.
    pub labels: Labels,
    /// Variables whose changed initial value is ignored.
    pub allow_data: Vec<String>,
    /// Types whose changed layout is ignored.
    pub allow_layout: Vec<String>,
    /// The executables or libraries that run.
    pub targets: Vec<Image>,
}

/// The verdict on two versions.
#[derive(Debug)]
pub enum Outcome {
    /// A patch.
    Patch(Box<Bundle>),
    /// Nothing that matters changed.
    Unchanged,
    /// No patch is possible, for these reasons.
    Refused(Vec<Refusal>),
}

/// Compares the pairs and makes the patch.
///
/// # Errors
/// When an object cannot be read or an option names what is not there.
pub fn generate(pairs: &[PairBytes], options: &Options) -> Result<Outcome, GenerateError> {
    let program = Program::new(units(pairs, object::read)?);
    let closure = Closure::of(&program);
    let unknown = checks::unknown_data(&[&program], &options.allow_data);
    refuse_unknown(unknown, GenerateError::AllowData)?;
    let mut refusals = checks::refusals(&program, &closure, &options.allow_data, &options.targets);
    let types = types::check(&program, &closure, &options.allow_layout);
    refuse_unknown(types.unknown, GenerateError::AllowLayout)?;
    refusals.extend(types.refusals);
    if !refusals.is_empty() {
        return Ok(Outcome::Refused(refusals));
    }
    if let (true, Some(hook)) = (closure.replaced.is_empty(), closure.hooks.first()) {
        let reason = "it is a hook, and no function changes: there is nothing to apply";
        let refusal = Refusal::new(&program, hook.function, reason.to_owned());
        return Ok(Outcome::Refused(vec![refusal]));
    }
    if closure.replaced.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let mut proof = Proof::default();
    for replaced in &closure.replaced {
        let unit = replaced.old.unit;
        if let Some(function) = program.units[unit].pair.old.owner(replaced.old.atom) {
            proof.add(&program, unit, function);
        }
    }
    let mut anchors = twins::of(&program, &closure);
    for twin in &anchors {
        proof.add(&program, twin.unit, twin.function);
    }
    anchors.extend(anchors::choose(&program, &closure, &mut proof));
    anchors.sort_unstable();
    anchors.dedup();
    let mut warnings = checks::warnings(&program, &closure);
    warnings.extend(types.advice);
    let patch = Patch {
        program: &program,
        closure: &closure,
        proof: &proof,
        anchors: &anchors,
        labels: &options.labels,
        quiesce: checks::split_off(&program, &closure),
        warnings,
    };
    let mut bundle = emit::bundle(&patch).map_err(GenerateError::Quiesce)?;
    let mut misfits = checks::doubled(&program, &closure, &options.targets);
    misfits.extend(checks::wrapped(
        &program,
        &closure,
        &proof,
        &options.targets,
    ));
    misfits.extend(locate(&mut bundle, &options.targets));
    if !misfits.is_empty() {
        return Ok(Outcome::Refused(misfits));
    }
    Ok(Outcome::Patch(Box::new(bundle)))
}

type Reader = for<'d> fn(&'d [u8]) -> Result<Object<'d>, ObjectError>;

/// All pairs, read by `reader` and analysed.
pub(crate) fn units(pairs: &[PairBytes], reader: Reader) -> Result<Vec<Unit<'_>>, GenerateError> {
    let unit = |pair| Ok(Unit::new(read_by(pair, reader)?));
    parallel::map(pairs, PairBytes::size, unit)
        .into_iter()
        .collect()
}

/// Both versions of a pair, each read by `reader`.
fn read_by(pair: &PairBytes, reader: Reader) -> Result<Pair<'_>, GenerateError> {
    let (old, new) = parallel::join(
        pair.size(),
        || version(reader, pair.old.as_deref(), &pair.name, "old"),
        || version(reader, pair.new.as_deref(), &pair.name, "new"),
    );
    Ok(Pair {
        name: pair.name.clone(),
        old: old?,
        new: new?,
    })
}

fn version<'d>(
    reader: Reader,
    bytes: Option<&'d [u8]>,
    name: &str,
    version: &'static str,
) -> Result<Object<'d>, GenerateError> {
    let object = bytes.map(reader).transpose();
    let object = object.map_err(|source| GenerateError::Object {
        name: name.to_owned(),
        version,
        source,
    })?;
    Ok(object.unwrap_or_default())
}
