#[inline(never)]
fn add(x: i64) -> i64 { x + 10 }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { add(x) }
