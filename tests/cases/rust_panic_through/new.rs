// A panic passes through new code, which drops what it holds.
use std::sync::atomic::{AtomicI64, Ordering};
static DROPPED: AtomicI64 = AtomicI64::new(0);
struct Held(i64);
impl Drop for Held { fn drop(&mut self) { DROPPED.fetch_add(self.0, Ordering::SeqCst); } }
#[inline(never)]
fn inner(x: i64) -> i64 { if x > 10 { std::panic::resume_unwind(Box::new(x)) } else { x } }
#[inline(never)]
fn middle(x: i64) -> i64 { let held = Held(10); inner(x) + held.0 }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 {
    match std::panic::catch_unwind(|| middle(x)) {
        Ok(value) => value,
        Err(caught) => *caught.downcast::<i64>().unwrap_or_default() + DROPPED.load(Ordering::SeqCst),
    }
}
