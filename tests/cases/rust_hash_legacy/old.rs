// The hashes in mangled names differ between two builds: functions are known by path and signature.
//#Cflags: -Copt-level=2 -Cpanic=abort -Cmetadata=one
//#NewCflags: -Copt-level=2 -Cpanic=abort -Cmetadata=two
//#ExpectBefore: 43
//#ExpectBefore: 45
//#ExpectOutput: 54
//#AfterRevert: 49
mod inner {
    use std::sync::atomic::{AtomicI64, Ordering};
    static STATE: AtomicI64 = AtomicI64::new(3);
    #[inline(never)]
    pub fn add(x: i64) -> i64 { x + STATE.load(Ordering::Relaxed) }
    #[inline(never)]
    pub fn twice(x: i64) -> i64 { x - 40 + STATE.fetch_add(1, Ordering::Relaxed) }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { inner::add(x) + inner::twice(x) - 3 }
