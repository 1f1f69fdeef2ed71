mod inner {
    use std::sync::atomic::{AtomicI64, Ordering};
    static STATE: AtomicI64 = AtomicI64::new(3);
    #[inline(never)]
    pub fn add(x: i64) -> i64 { x + STATE.load(Ordering::Relaxed) + 7 }
    #[inline(never)]
    pub fn twice(x: i64) -> i64 { x * 2 - 37 + STATE.fetch_add(0, Ordering::Relaxed) - 40 }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { inner::add(x) + inner::twice(x) - 3 }
