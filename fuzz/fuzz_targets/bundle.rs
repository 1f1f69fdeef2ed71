//! Reads patch bundles; what is accepted keeps all rules and can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_bundle::{read, verify, write};

fuzz_target!(|data: &[u8]| {
    let Ok(bundle) = read(data) else {
        return;
    };
    verify(&bundle).expect("an accepted bundle keeps the rules");
    let again = write(&bundle).expect("it can be written");
    assert_eq!(read(&again).expect("and read"), bundle);
});
