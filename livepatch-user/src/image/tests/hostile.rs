//! Memory that lies: nothing panics, hangs or allocates without bound.

use super::child::{Live, Workshop};
use crate::image::{Context, Images};
use crate::memory::{Memory, Unreadable};
use crate::process::Mapping;
use livepatch_bundle::{LinkAddr, RunAddr, Scope};
use proptest::prelude::*;

/// A copy of a process's memory, to be damaged.
struct Copied {
    mappings: Vec<Mapping>,
    contents: Vec<Vec<u8>>,
    context: Context,
}

impl Copied {
    fn of(live: &Live) -> Self {
        let small = |map: &Mapping| map.len() < 16 << 20;
        let mappings: Vec<Mapping> = live.maps().into_iter().filter(small).collect();
        let read = |map: &Mapping| {
            let len = usize::try_from(map.len()).expect("small");
            live.memory.read_vec(map.start, len).unwrap_or_default()
        };
        Self {
            contents: mappings.iter().map(read).collect(),
            mappings,
            context: Context {
                proc_dir: None,
                ..Context::of(live.pid())
            },
        }
    }

    fn write(&mut self, address: RunAddr, bytes: &[u8]) {
        for (offset, &byte) in bytes.iter().enumerate() {
            let at = RunAddr(address.0 + offset as u64);
            let found = self.mappings.iter().position(|map| map.contains(at));
            let Some(index) = found else { continue };
            let place = usize::try_from(at.0 - self.mappings[index].start.0).expect("small");
            self.contents[index][place] = byte;
        }
    }
}

impl Memory for Copied {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let len = buffer.len();
        let (mut at, mut left) = (address, &mut buffer[..]);
        while !left.is_empty() {
            let index = self.mappings.iter().position(|map| map.contains(at));
            let start =
                index.and_then(|index| usize::try_from(at.0 - self.mappings[index].start.0).ok());
            let have = index
                .zip(start)
                .and_then(|(index, start)| self.contents[index].get(start..));
            let have = have
                .filter(|have| !have.is_empty())
                .ok_or(Unreadable { address, len })?;
            let count = have.len().min(left.len());
            left[..count].copy_from_slice(&have[..count]);
            at = RunAddr(at.0 + count as u64);
            left = &mut left[count..];
        }
        Ok(())
    }
}

/// Asks everything that can be asked; returns how much there was.
fn ask(memory: &Copied) -> usize {
    let images = Images::read(&memory.mappings, memory, memory.context.clone());
    let mut count = images.iter().count();
    for name in ["main", "value", "stdout", "strlen", "tls", "answer"] {
        if let Some(found) = images.lookup_global(name, None) {
            count += usize::from(images.bound_ifunc(name, &found).is_some());
            count += usize::from(images.tls_offset(found.image).is_some());
        }
        count += usize::from(images.lookup_global(name, Some("GLIBC_2.2.5")).is_some());
        for image in images.iter() {
            count += image.find(name, Scope::Global, None).len();
            count += image.find(name, Scope::Local, Some("program.c")).len();
            count += image.import_slots(name).len();
        }
    }
    for image in images.iter() {
        count += images.scope_order_of(image.id()).len();
        count += usize::from(image.tls_module().is_some());
        count += image.local_tls_slots(LinkAddr(0)).len();
        count += image.irelative_slots().len();
        count += image.function_starts().len();
        let starts = image.executable_ranges().iter().map(|range| range.start);
        count += starts.filter_map(|start| image.symbol_at(start)).count();
    }
    count
}

/// The places that headers, dynamic section, symbols, hashes, versions, relocations and unwind tables occupy.
fn targets(memory: &Copied) -> Vec<RunAddr> {
    let images = Images::read(&memory.mappings, memory, memory.context.clone());
    let main = images.main().expect("an executable");
    let mut targets: Vec<RunAddr> = (0..0x800).map(|at| RunAddr(main.header().0 + at)).collect();
    for segment in main.segments().iter().filter(|segment| !segment.is_load()) {
        let start = main.run(segment.address);
        targets.extend((0..segment.memory_size.min(0x400)).map(|at| RunAddr(start.0 + at)));
    }
    targets
}

fn copied(flags: &[&str]) -> Copied {
    let source = "__thread int tls; int value = 3; int answer(void) { return ++tls; } \
                  int main(int c, char **v) { SHOW(\"x\", strlen(*v) + value + answer()); \
                  fflush(stdout); return wait_for_end(); }";
    let workshop = Workshop::new();
    let live = Live::start(&workshop.compile("program", source, flags));
    Copied::of(&live)
}

fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>)>> {
    let word = prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        Just(0),
        any::<u32>().prop_map(u64::from),
        (0u32..64).prop_map(|shift| 1 << shift),
    ];
    let bytes = (word, prop_oneof![Just(1usize), Just(2), Just(4), Just(8)])
        .prop_map(|(word, len)| word.to_le_bytes()[..len].to_vec());
    prop::collection::vec((any::<prop::sample::Index>(), bytes), 1..6)
}

fn survives(flags: &[&str], cases: u32) {
    let whole = copied(flags);
    let targets = targets(&whole);
    let count = ask(&whole);
    assert!(count > 0);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(damage in damage())| {
        let mut broken = Copied {
            mappings: whole.mappings.clone(),
            contents: whole.contents.clone(),
            context: whole.context.clone(),
        };
        for (place, bytes) in &damage {
            broken.write(targets[place.index(targets.len())], bytes);
        }
        ask(&broken);
    });
}

#[test]
fn damaged_dynamic_programs_are_survived() {
    survives(&["-rdynamic"], 60);
}

#[test]
fn damaged_static_programs_are_survived() {
    survives(&["-static"], 60);
}

#[test]
fn an_unreadable_process_has_no_images() {
    let mut memory = copied(&[]);
    memory.contents.iter_mut().for_each(Vec::clear);
    assert_eq!(ask(&memory), 0);
}
