mod inner {
    use std::sync::atomic::{AtomicI64, Ordering};
    static STATE: AtomicI64 = AtomicI64::new(3);
    #[inline(never)]
    pub fn add(x: i64) -> i64 { x + STATE.load(Ordering::Relaxed) + 7 }
    #[inline(never)]
    pub fn twice(x: i64) -> i64 { x - 40 + STATE.fetch_add(1, Ordering::Relaxed) }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { inner::add(x) + inner::twice(x) - 3 }
