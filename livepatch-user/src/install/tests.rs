use super::*;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::collections::BTreeMap;

/// A target that fails at its `fail_at`th call, and says what it has.
#[derive(Default)]
struct Fake {
    calls: usize,
    fail_at: Option<usize>,
    taken: Vec<u64>,
    old_kernel: bool,
    mapped: BTreeMap<u64, (u64, i32)>,
    files: BTreeMap<u64, File>,
}

impl Fake {
    fn count(&mut self) -> io::Result<()> {
        self.calls += 1;
        if Some(self.calls) == self.fail_at {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        Ok(())
    }

    fn map(&mut self, at: u64, len: u64, protection: i32) -> io::Result<u64> {
        let at = match self.taken.contains(&at) {
            true if self.old_kernel => 0x7000_0000,
            true => return Err(io::Error::from_raw_os_error(libc::EEXIST)),
            false => at,
        };
        self.mapped.insert(at, (len, protection));
        Ok(at)
    }
}

impl Hands for Fake {
    fn syscall(&mut self, number: i64, a: [u64; 6]) -> io::Result<u64> {
        if number != libc::SYS_close && number != libc::SYS_munmap {
            self.count()?;
        }
        match number {
            libc::SYS_memfd_create => {
                let file = memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING)?;
                self.files.insert(7, file.into());
                Ok(7)
            }
            libc::SYS_mmap => self.map(a[0], a[1], i32::try_from(a[2]).unwrap()),
            libc::SYS_munmap => {
                self.mapped.retain(|&at, _| at < a[0] || at >= a[0] + a[1]);
                Ok(0)
            }
            libc::SYS_close => {
                self.files.remove(&a[0]);
                Ok(0)
            }
            other => panic!("unexpected system call {other}"),
        }
    }

    fn lend(&mut self, _bytes: &[u8]) -> io::Result<RunAddr> {
        self.count()?;
        Ok(RunAddr(0x1000))
    }

    fn open_descriptor(&mut self, descriptor: u64) -> io::Result<File> {
        self.count()?;
        self.files[&descriptor].try_clone()
    }
}

fn layout() -> Layout {
    let section = livepatch_bundle::Section {
        name: ".data.x".into(),
        kind: livepatch_bundle::SectionKind::Data,
        align: 8,
        data: vec![1; 8],
        size: 8,
        relocations: vec![],
    };
    Layout::new(
        &livepatch_bundle::Bundle {
            manifest: crate::testing::manifest(),
            sections: vec![section],
            symbols: vec![],
        },
        0,
    )
}

fn attempt(fake: &mut Fake) -> Result<Mapped, InstallError> {
    let link = |_| {
        Ok(Image {
            text: vec![0xcc; 4096],
            data: vec![1; 4096],
        })
    };
    install(
        fake,
        "fix",
        &layout(),
        &[RunAddr(0x10_0000), RunAddr(0x20_0000)],
        &link,
    )
}

#[test]
fn both_parts_are_mapped_side_by_side_and_nothing_else_stays() {
    let mut fake = Fake::default();
    assert_eq!(
        attempt(&mut fake).unwrap(),
        Mapped {
            base: RunAddr(0x10_0000),
            len: 8192
        }
    );
    let text = (4096, libc::PROT_READ | libc::PROT_EXEC);
    let data = (4096, libc::PROT_READ | libc::PROT_WRITE);
    assert_eq!(
        fake.mapped,
        BTreeMap::from([(0x10_0000, text), (0x10_1000, data)])
    );
    assert!(fake.files.is_empty());
}

#[test]
fn a_place_that_was_taken_meanwhile_is_passed_over() {
    for old_kernel in [false, true] {
        let mut fake = Fake {
            taken: vec![0x10_0000],
            old_kernel,
            ..Fake::default()
        };
        assert_eq!(attempt(&mut fake).unwrap().base, RunAddr(0x20_0000));
        assert_eq!(fake.mapped.len(), 2);
    }
}

#[test]
fn a_failure_at_any_call_leaves_nothing() {
    let mut whole = Fake::default();
    attempt(&mut whole).unwrap();
    for n in 1..=whole.calls {
        let mut fake = Fake {
            fail_at: Some(n),
            ..Fake::default()
        };
        attempt(&mut fake).unwrap_err();
        assert!(fake.mapped.is_empty(), "call {n}: {:?}", fake.mapped);
        assert!(fake.files.is_empty(), "call {n}");
    }
}

#[test]
fn no_place_is_an_error() {
    let link = |_| -> Result<Image, InstallError> { unreachable!("there is no place to link for") };
    let error = install(&mut Fake::default(), "fix", &layout(), &[], &link).unwrap_err();
    assert!(matches!(error, InstallError::NoPlace));
}
