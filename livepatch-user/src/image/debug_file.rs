//! Separate debug files (gdb manual, "Debugging Information in Separate Files").

use super::elf_file::ElfFile;
use super::files::{open_regular, same_layout, under_root};
use super::image::Image;
use super::table::SymbolTable;
use super::unusable::Unusable;
use livepatch_bundle::BuildId;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

const DEFAULT_DIR: &str = "/usr/lib/debug";
const CHUNK: usize = 1 << 20;

/// Finds the debug file of an image by its build ID, then by the name in its file, and reads its symbols.
pub(super) fn read(image: &Image<'_>) -> Result<SymbolTable, Unusable> {
    let link = DebugLink::of(image);
    let mut problem = Unusable::NoDebugFile;
    let by_id = image.build_id.as_ref().map(by_build_id);
    let dirs = debug_dirs(image);
    let mut places: Vec<PathBuf> = dirs
        .iter()
        .filter_map(|dir| Some(dir.join(by_id.as_ref()?)))
        .collect();
    places.extend(
        link.iter()
            .flat_map(|link| beside(image, &dirs, &link.name)),
    );
    let root = image.context.root();
    for path in places {
        let Ok(file) = open_regular(root.as_deref(), &path) else {
            continue;
        };
        match read_one(image, file, path, link.as_ref()) {
            Ok(table) => return Ok(table),
            Err(cause) => problem = cause,
        }
    }
    Err(problem)
}

fn read_one(
    image: &Image<'_>,
    mut file: File,
    path: PathBuf,
    link: Option<&DebugLink>,
) -> Result<SymbolTable, Unusable> {
    let checksum = match (&image.build_id, link) {
        (None, Some(link)) => crc(&mut file) == Some(link.crc),
        _ => false,
    };
    let Some(file) = ElfFile::open(file) else {
        return Err(Unusable::Malformed { path });
    };
    let in_file = file.build_id();
    if !checksum && (in_file.is_none() || in_file != image.build_id) {
        return Err(Unusable::BuildId {
            path,
            file: in_file,
            memory: image.build_id.clone(),
        });
    }
    if !same_layout(image, &file) {
        return Err(Unusable::Layout { path });
    }
    file.symbols().ok_or(Unusable::Absent {
        path,
        table: ".symtab",
    })
}

/// `.build-id/ab/cdef….debug`
fn by_build_id(id: &BuildId) -> PathBuf {
    let hex = id.to_string();
    let (directory, file) = hex.split_at(2);
    PathBuf::from(format!(".build-id/{directory}/{file}.debug"))
}

/// The directories that hold trees of debug files: the user's, the target's, ours.
fn debug_dirs(image: &Image<'_>) -> Vec<PathBuf> {
    let context = &image.context;
    let mut dirs = context.debug_dirs.clone();
    let target = context.proc_dir.as_deref();
    dirs.extend(target.map(|proc_dir| under_root(proc_dir, Path::new(DEFAULT_DIR))));
    dirs.push(PathBuf::from(DEFAULT_DIR));
    dirs
}

/// Where a debug link may lead: beside the file, in `.debug` beside it, in the trees under the file's path.
fn beside(image: &Image<'_>, dirs: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let Some(directory) = image.path.as_deref().and_then(Path::parent) else {
        return Vec::new();
    };
    let seen = match &image.context.proc_dir {
        Some(proc_dir) => under_root(proc_dir, directory),
        None => directory.to_path_buf(),
    };
    let inner = directory.strip_prefix("/").unwrap_or(directory);
    let mut places = vec![seen.join(name), seen.join(".debug").join(name)];
    places.extend(dirs.iter().map(|dir| dir.join(inner).join(name)));
    places
}

/// `.gnu_debuglink`: a file name, NUL, padding to 4 bytes, the file's CRC-32.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DebugLink {
    name: String,
    crc: u32,
}

impl DebugLink {
    fn of(image: &Image<'_>) -> Option<Self> {
        Self::parse(&image.file().ok()?.file.section(".gnu_debuglink")?)
    }

    fn parse(section: &[u8]) -> Option<Self> {
        let len = memchr::memchr(0, section)?;
        let name = std::str::from_utf8(&section[..len]).ok()?;
        let crc = section.get((len + 1).next_multiple_of(4)..)?.get(..4)?;
        let plain = !name.is_empty() && !name.contains('/') && name != "..";
        plain.then_some(Self {
            name: name.to_owned(),
            crc: u32::from_le_bytes(crc.try_into().ok()?),
        })
    }
}

/// The checksum of a whole file; only asked for when there is no build ID.
fn crc(file: &mut File) -> Option<u32> {
    let mut crc = flate2::Crc::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            len => crc.update(&buffer[..len]),
        }
    }
    file.rewind().ok()?;
    Some(crc.sum())
}
