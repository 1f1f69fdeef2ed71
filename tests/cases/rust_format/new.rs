#[inline(never)]
fn describe(x: i64) -> String { format!("<{x:>4}") }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { x + describe(x).len() as i64 }
