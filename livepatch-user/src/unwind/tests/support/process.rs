//! The memory, mappings and images of a live process.

use crate::memory::{Memory, Unreadable};
use crate::unwind::{AddressSpace, ImageSpec, NoRegions, Region, RegionKind, TableSource};
use goblin::container::{Container, Ctx, Endian};
use livepatch_bundle::RunAddr;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use std::collections::BTreeMap;
use std::io::IoSliceMut;

pub(crate) struct ProcessSpace(pub(crate) Pid);

/// Most elements of one system call (`UIO_MAXIOV`).
const MOST: usize = 1024;

impl Memory for ProcessSpace {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.read_bulk(&mut [(address, buffer)])
    }
}

impl AddressSpace for ProcessSpace {
    fn regions(&self) -> Result<Vec<Region>, NoRegions> {
        Ok(maps(self.0).iter().map(region).collect())
    }

    fn read_bulk(&self, requests: &mut [(RunAddr, &mut [u8])]) -> Result<(), Unreadable> {
        for requests in requests.chunks_mut(MOST) {
            let (address, len) = requests
                .first()
                .map_or((RunAddr(0), 0), |r| (r.0, r.1.len()));
            let total: usize = requests.iter().map(|request| request.1.len()).sum();
            let remote: Vec<_> = requests
                .iter()
                .map(|(address, bytes)| RemoteIoVec {
                    base: address.0 as usize,
                    len: bytes.len(),
                })
                .collect();
            let mut local: Vec<_> = requests
                .iter_mut()
                .map(|(_, bytes)| IoSliceMut::new(bytes))
                .collect();
            if process_vm_readv(self.0, &mut local, &remote) != Ok(total) {
                return Err(Unreadable { address, len });
            }
        }
        Ok(())
    }
}

pub(crate) fn maps(pid: Pid) -> Vec<MemoryMap> {
    let process = Process::new(pid.as_raw()).expect("the process lives");
    process
        .maps()
        .expect("its maps can be read")
        .into_iter()
        .collect()
}

fn region(map: &MemoryMap) -> Region {
    let name = match &map.pathname {
        MMapPath::Stack => "[stack]",
        MMapPath::Heap => "[heap]",
        MMapPath::Other(name) if name == "uprobes" => "[uprobes]",
        _ => "",
    };
    Region {
        start: RunAddr(map.address.0),
        end: RunAddr(map.address.1),
        readable: map.perms.contains(MMPermissions::READ),
        writable: map.perms.contains(MMPermissions::WRITE),
        executable: map.perms.contains(MMPermissions::EXECUTE),
        kind: RegionKind::of_name(name),
    }
}

/// The ELF images of a process: every file with an executable mapping, and the vDSO.
pub(crate) fn images(pid: Pid) -> Vec<ImageSpec> {
    let mut found: BTreeMap<String, ImageSpec> = BTreeMap::new();
    for map in maps(pid) {
        let label = match &map.pathname {
            MMapPath::Path(path) => path.display().to_string(),
            MMapPath::Vdso => "[vdso]".to_owned(),
            _ => continue,
        };
        let header = RunAddr(map.address.0);
        if map.offset == 0 && !found.contains_key(&label) {
            let Some(bias) = bias(pid, header) else {
                continue;
            };
            let file = std::fs::read(&label).ok().map(Into::into);
            let tables = TableSource::Elf { header, file };
            let code = Vec::new();
            found.insert(
                label.clone(),
                ImageSpec {
                    label: label.clone(),
                    code,
                    bias,
                    tables,
                },
            );
        }
        if map.perms.contains(MMPermissions::EXECUTE)
            && let Some(image) = found.get_mut(&label)
        {
            image.code.push((header, RunAddr(map.address.1)));
        }
    }
    found.into_values().collect()
}

/// Where the image with its header at `header` is, minus where its first segment was linked.
fn bias(pid: Pid, header: RunAddr) -> Option<u64> {
    let bytes = ProcessSpace(pid).read_vec(header, 4096).ok()?;
    let elf = goblin::elf::Elf::parse_header(&bytes).ok()?;
    let context = Ctx::new(Container::Big, Endian::Little);
    let headers = goblin::elf::ProgramHeader::parse(
        &bytes,
        elf.e_phoff as usize,
        elf.e_phnum.into(),
        context,
    );
    let first = headers
        .ok()?
        .into_iter()
        .find(|header| header.p_type == 1)?;
    Some(header.0.wrapping_sub(first.p_vaddr & !4095))
}
