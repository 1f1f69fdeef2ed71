// New code formats text and allocates, by code of core, alloc and std that the program has.
//#Cflags: -Copt-level=2 -Cpanic=abort
//#ExpectBefore: 42
//#ExpectOutput: 45
#[inline(never)]
fn describe(x: i64) -> String { format!("{x}") }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { x + describe(x).len() as i64 }
