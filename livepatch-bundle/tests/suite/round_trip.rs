//! What is written reads back the same, and the same bundle gives the same bytes.

use crate::samples;
use livepatch_bundle::{read, write};
use proptest::prelude::*;

#[test]
fn a_small_bundle_reads_back() {
    let bundle = samples::small();
    let bytes = write(&bundle).expect("the sample is valid");
    assert_eq!(read(&bytes).expect("it was just written"), bundle);
    assert_eq!(write(&bundle).expect("as before"), bytes);
}

#[test]
fn it_reads_at_any_alignment_in_memory() {
    let bundle = samples::small();
    let mut bytes = write(&bundle).expect("the sample is valid");
    for _ in 0..8 {
        bytes.insert(0, 0xcc);
        let shift = bytes
            .iter()
            .position(|&byte| byte == 0x7f)
            .expect("the magic number");
        assert_eq!(read(&bytes[shift..]).expect("the same file"), bundle);
    }
}

proptest! {
    #[test]
    fn any_bundle_reads_back(bundle in samples::arbitrary()) {
        let bytes = write(&bundle).expect("the strategy makes valid bundles");
        prop_assert_eq!(&read(&bytes).expect("it was just written"), &bundle);
        let again = read(&bytes).and_then(|bundle| write(&bundle)).expect("as before");
        prop_assert_eq!(again, bytes);
    }
}
