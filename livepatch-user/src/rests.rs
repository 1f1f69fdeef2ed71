//! Which earlier patches a patch uses: they must not go before it does.

use crate::installed::Installed;
use crate::link::Resolution;
use livepatch_bundle::{Bundle, RunAddr};

/// The sequence numbers of the patches in whose memory lies what the code and data of `bundle` refer to.
#[must_use]
pub fn rests_on(bundle: &Bundle, resolutions: &[Resolution], patches: &[Installed]) -> Vec<u64> {
    if patches.is_empty() {
        return Vec::new();
    }
    let used = bundle.needed_symbols();
    let known = used.iter().filter_map(|symbol| resolutions.get(symbol.0));
    let addresses: Vec<RunAddr> = known
        .flat_map(|known| [known.address, known.branch])
        .flatten()
        .collect();
    let holds = |patch: &&Installed| {
        let (start, end) = patch.range();
        addresses.iter().any(|at| (start..end).contains(at))
    };
    let holding = patches.iter().filter(holds);
    holding.map(|patch| patch.record.sequence).collect()
}
