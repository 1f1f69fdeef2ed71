//! Compares an object file with the new version of it. The input is both: the length of the old one in four bytes, then the two files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_bundle::{read, write};
use patchgen::generate::{Options, Outcome, generate};
use patchgen::input::PairBytes;

fuzz_target!(|data: &[u8]| {
    let Some((length, files)) = data.split_first_chunk::<4>() else {
        return;
    };
    let length = u32::from_le_bytes(*length) as usize;
    let Some((old, new)) = files.split_at_checked(length) else {
        return;
    };
    let pair = PairBytes {
        name: "x.o".to_owned(),
        old: Some(old.to_vec()),
        new: Some(new.to_vec()),
    };
    let mut options = Options::default();
    options.labels.name = "x".to_owned();
    if let Ok(Outcome::Patch(bundle)) = generate(&[pair], &options) {
        // Names of symbols that no patch may have are seen here only.
        if let Ok(bytes) = write(&bundle) {
            assert_eq!(read(&bytes).expect("what is written can be read"), *bundle);
        }
    }
});
