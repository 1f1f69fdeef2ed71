// The crate's disambiguator in v0 names differs between two builds.
//#Cflags: -Copt-level=2 -Cpanic=abort -Cmetadata=one -Csymbol-mangling-version=v0
//#NewCflags: -Copt-level=2 -Cpanic=abort -Cmetadata=two -Csymbol-mangling-version=v0
//#ExpectBefore: 46
//#ExpectOutput: 53
mod inner {
    use std::sync::atomic::{AtomicI64, Ordering};
    static STATE: AtomicI64 = AtomicI64::new(3);
    #[inline(never)]
    pub fn add(x: i64) -> i64 { x + STATE.load(Ordering::Relaxed) }
    #[inline(never)]
    pub fn twice(x: i64) -> i64 { x * 2 - 37 + STATE.fetch_add(0, Ordering::Relaxed) - 40 }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { inner::add(x) + inner::twice(x) - 3 }
