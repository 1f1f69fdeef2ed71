// A function of Rust.
//#Cflags: -Copt-level=2 -Cpanic=abort
//#ExpectBefore: 43
//#ExpectOutput: 50
#[inline(never)]
fn add(x: i64) -> i64 { x + 3 }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { add(x) }
