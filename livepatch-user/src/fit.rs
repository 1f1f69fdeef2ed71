//! Fitting a patch to a process: which module, where everything is, what must stand still.
//!
//! Reads the process and changes nothing.

use crate::error::Error;
use crate::image::{Image, ImageId, Images};
use crate::installed::{Installed, State};
use crate::link::Resolution;
use crate::place::{self, Reach, Taken};
use crate::plan::{Identity, Plan, Problems, Site};
use crate::process::Pid;
use crate::program::{Candidate, is_module};
use crate::prove::{Program, Proof, ProveError, Proven, prove};
use crate::record::{Record, RecordedModule, Redirect};
use crate::resolve::resolve;
use crate::rests::rests_on;
use crate::session::Session;
use crate::supersede::Ground;
use crate::unwind::ForbiddenRange;
use livepatch_bundle::{Bundle, RunAddr};
use livepatch_match::padding_after;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes behind a short function that may be padding: one cache line, the largest alignment that compilers use.
const PADDING_MAX: u64 = 64;
/// `endbr64`, a far jump.
const ENTRY_MAX: u64 = 18;

/// A bundle and the digest of its file.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// The contents.
    pub bundle: &'a Bundle,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// A patch that fits.
pub struct Fit<'a> {
    /// What will be placed.
    pub plan: Plan<'a>,
    /// The file name of the module.
    pub module: String,
    /// Where it may be placed, best first.
    pub places: Vec<RunAddr>,
    /// What no thread may be inside at the switch.
    pub forbidden: Vec<ForbiddenRange>,
}

/// Fits `patch` to the process.
///
/// # Errors
/// Every reason why it does not fit.
pub fn fit<'a>(
    session: &Session,
    images: &Images<'_>,
    ground: &Ground,
    patch: Patch<'a>,
) -> Result<Fit<'a>, Error> {
    let (patches, memory) = (&ground.kept[..], ground.before(&session.memory));
    let candidate = |id| Candidate::new(images, id, &memory, &patch.bundle.manifest, patches);
    let chosen = choose(session, images, &candidate, patch.bundle);
    let (id, proof) = chosen.map_err(|error| with_patched(error, patches, patch.bundle))?;
    let candidate = candidate(id);
    let resolutions =
        resolve(patch.bundle, &proof, &candidate).map_err(|errors| Error::Resolve {
            pid: session.pid(),
            source: Problems(errors),
        })?;
    let mut forbidden: Vec<ForbiddenRange> = proof.functions.iter().flat_map(ranges).collect();
    forbidden.extend(quiesced(patch.bundle, candidate.image(), &resolutions)?);
    let sites = sites(session.pid(), &candidate, patches, proof)?;
    let image = candidate.image();
    let identity = Identity {
        rests_on: rests_on(patch.bundle, &resolutions, patches),
        ..identity(patch, ground.last_sequence, image)
    };
    let plan = Plan::new(patch.bundle, resolutions, sites, identity);
    Ok(Fit {
        places: places(&session.taken(), image, plan.layout().len()),
        module: image.label(),
        plan,
        forbidden,
    })
}

/// Adds to a mismatch which patches changed the functions before.
fn with_patched(mut error: Error, patches: &[Installed], bundle: &Bundle) -> Error {
    if let Error::Mismatch { patched, .. } = &mut error {
        let functions = &bundle.manifest.functions;
        let is_meant = |redirect: &Redirect| functions.iter().any(|one| one.name == redirect.name);
        let in_force = patches.iter().filter(|patch| patch.state == State::Active);
        let earlier = in_force.filter(|patch| patch.record.functions.iter().any(is_meant));
        patched.extend(earlier.map(|patch| patch.record.name.clone()));
    }
    error
}

/// The one module in which every replaced function is proven.
fn choose<'c>(
    session: &Session,
    images: &Images<'_>,
    candidate: &dyn Fn(ImageId) -> Candidate<'c>,
    bundle: &Bundle,
) -> Result<(ImageId, Proof), Error> {
    let candidates = candidates(session, images, bundle)?;
    let mut proven = Vec::new();
    let mut refused: Option<(ImageId, Vec<ProveError>)> = None;
    for id in candidates {
        match prove(bundle, &candidate(id)) {
            Ok(proof) => proven.push((id, proof)),
            Err(errors) => refused = Some(closer(refused, (id, errors))),
        }
    }
    match (proven.len(), refused) {
        (1, _) => Ok(proven.remove(0)),
        (0, Some((id, errors))) => Err(Error::Mismatch {
            pid: session.pid(),
            module: images.get(id).label(),
            patched: Vec::new(),
            source: Problems(errors),
        }),
        (0, None) => Err(no_module(session, images, bundle)),
        _ => {
            let names: Vec<_> = proven
                .iter()
                .map(|(id, _)| images.get(*id).label())
                .collect();
            Err(Error::SeveralModules {
                pid: session.pid(),
                modules: names.join(", "),
            })
        }
    }
}

/// Where the patch may belong: the modules that the manifest names by build ID; else those that have a symbol of a
/// replaced function; else, for stripped programs, all.
fn candidates(
    session: &Session,
    images: &Images<'_>,
    bundle: &Bundle,
) -> Result<Vec<ImageId>, Error> {
    let manifest = &bundle.manifest;
    let programs = || {
        images
            .iter()
            .filter(|image| !image.executable_ranges().is_empty())
    };
    if manifest
        .modules
        .iter()
        .any(|module| module.build_id.is_some())
    {
        let known = |image: &&Image<'_>| {
            manifest
                .modules
                .iter()
                .any(|module| is_module(image, module))
        };
        let ids: Vec<_> = programs().filter(known).map(Image::id).collect();
        return if ids.is_empty() {
            Err(no_module(session, images, bundle))
        } else {
            Ok(ids)
        };
    }
    let named = |image: &&Image<'_>| {
        let candidate = Candidate::new(images, image.id(), &session.memory, manifest, &[]);
        manifest.functions.iter().any(|function| {
            let entry = function.pieces.first().map(|piece| &piece.running);
            let reference = manifest
                .references
                .iter()
                .find(|reference| Some(&reference.symbol) == entry);
            reference.is_some_and(|reference| !Program::named(&candidate, reference).is_empty())
        })
    };
    let ids: Vec<_> = programs().filter(named).map(Image::id).collect();
    Ok(if ids.is_empty() {
        programs().map(Image::id).collect()
    } else {
        ids
    })
}

/// The refusal that says more: the module in which fewer functions are missing.
fn closer(
    before: Option<(ImageId, Vec<ProveError>)>,
    now: (ImageId, Vec<ProveError>),
) -> (ImageId, Vec<ProveError>) {
    let missing = |errors: &[ProveError]| {
        errors
            .iter()
            .filter(|e| matches!(e, ProveError::NotFound { .. }))
            .count()
    };
    match before {
        Some(before) if missing(&before.1) <= missing(&now.1) => before,
        _ => now,
    }
}

fn no_module(session: &Session, images: &Images<'_>, bundle: &Bundle) -> Error {
    let id = |id: Option<&livepatch_bundle::BuildId>| {
        id.map_or("no build ID".into(), |id| format!("build ID {id}"))
    };
    let modules = &bundle.manifest.modules;
    let wanted = modules.iter().map(|module| {
        format!(
            "`{}` with {}",
            module.file_name,
            id(module.build_id.as_ref())
        )
    });
    let same_name = images.iter().filter(|image| {
        modules.iter().any(|module| {
            image
                .file_name()
                .is_some_and(|name| name == module.file_name.as_str())
        })
    });
    let found =
        same_name.map(|image| format!("; its `{}` has {}", image.label(), id(image.build_id())));
    Error::NoModule {
        pid: session.pid(),
        wanted: wanted.collect::<Vec<_>>().join(", "),
        found: found.collect(),
    }
}

fn ranges(proven: &Proven) -> Vec<ForbiddenRange> {
    let range = |&(start, len): &(RunAddr, u64)| {
        ForbiddenRange::new(start, start.offset(len.cast_signed()), proven.name.clone())
    };
    proven.pieces.iter().map(range).collect()
}

/// The extent of each function that must be on no stack, too.
fn quiesced(
    bundle: &Bundle,
    image: &Image<'_>,
    resolutions: &[Resolution],
) -> Result<Vec<ForbiddenRange>, Error> {
    let range = |name: &String| {
        let unknown = || Error::Quiesce(name.clone());
        let symbol = bundle.symbol(name).ok_or_else(unknown)?;
        let known = &resolutions[symbol.0];
        let start = known.address.or(known.branch).ok_or_else(unknown)?;
        let function = image
            .function_starts()
            .iter()
            .find(|range| range.start == start)
            .ok_or_else(unknown)?;
        Ok(ForbiddenRange::new(
            start,
            RunAddr(start.0 + function.len),
            name.clone(),
        ))
    };
    bundle.manifest.quiesce.iter().map(range).collect()
}

fn sites(
    pid: Pid,
    candidate: &Candidate<'_>,
    patches: &[Installed],
    proof: Proof,
) -> Result<Vec<Site>, Error> {
    let site = |proven: Proven| {
        let own = own_bytes(&proven, patches);
        let end = candidate
            .executable_end(proven.entry)
            .unwrap_or(proven.entry);
        let wanted = if own < ENTRY_MAX {
            own + PADDING_MAX
        } else {
            ENTRY_MAX
        };
        let len = wanted.min(end.0 - proven.entry.0);
        let memory = Program::memory(candidate);
        let code = memory
            .read_vec(proven.entry, len as usize)
            .map_err(|source| Error::Read {
                pid,
                what: "the code",
                source: std::io::Error::other(source),
            })?;
        let old = memory.read_vec(proven.entry, own.min(end.0 - proven.entry.0) as usize);
        let old = old.unwrap_or_default();
        let padding = if own < ENTRY_MAX {
            padding(candidate.image(), &proven, own, &code)
        } else {
            0
        };
        Ok(Site {
            own: (own as usize).min(code.len()),
            padding,
            code,
            old,
            proven,
        })
    };
    proof.functions.into_iter().map(site).collect()
}

/// How many bytes at the entry belong to the function; at an entry that is redirected already, to the first redirection.
fn own_bytes(proven: &Proven, patches: &[Installed]) -> u64 {
    let redirects = patches
        .iter()
        .filter(|patch| patch.state == State::Active)
        .flat_map(|p| &p.record.functions);
    let first = redirects
        .into_iter()
        .find(|redirect| redirect.entry == proven.entry);
    let piece = first
        .and_then(|redirect| redirect.old.first())
        .or(proven.pieces.first());
    piece.map_or(0, |(_, len)| *len)
}

/// How many bytes behind a short function are padding: no further than where the next function begins.
fn padding(image: &Image<'_>, proven: &Proven, own: u64, code: &[u8]) -> usize {
    let starts = image.function_starts();
    let end = proven.entry.offset(own.cast_signed());
    let next = starts.partition_point(|range| range.start < end);
    let Some(next) = starts.get(next) else {
        return 0;
    };
    let behind = code.get(own as usize..).unwrap_or_default();
    let room = (next.start.0 - end.0).min(behind.len() as u64) as usize;
    padding_after(&behind[..room])
}

fn identity(patch: Patch<'_>, last: u64, image: &Image<'_>) -> Identity {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let span = image.span();
    Identity {
        sequence: last.saturating_add(1),
        bundle: patch.digest,
        applied_at: now.as_secs(),
        module: RecordedModule {
            path: image
                .path()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            build_id: image
                .build_id()
                .map(|id| id.as_bytes().to_vec())
                .unwrap_or_default(),
            bias: image.bias(),
            start: span.start,
            end: span.end,
        },
        rests_on: Vec::new(),
    }
}

/// Near the module; anywhere only if there is no room.
fn places(taken: &[Taken], image: &Image<'_>, size: u64) -> Vec<RunAddr> {
    let span = image.span();
    let reach = Reach {
        start: span.start,
        end: span.end,
        absolute32: image.is_main() && image.bias() == 0,
    };
    let near = place::near(taken, reach, size);
    if near.is_empty() {
        place::anywhere(taken, size)
    } else {
        near
    }
}

/// The bytes behind the first that each jump overwrites, and nothing more (`--consistency function`): a thread at the first
/// one has run nothing yet and takes the jump.
#[must_use]
pub fn overwritten(record: &Record) -> Vec<ForbiddenRange> {
    let range = |redirect: &Redirect| {
        let end = redirect.site.offset(redirect.jump.len() as i64);
        ForbiddenRange::new(redirect.site.offset(1), end, redirect.name.clone())
    };
    record.functions.iter().map(range).collect()
}
