// A mutable static keeps its value.
//#Cflags: -Copt-level=2 -Cpanic=abort
//#ExpectBefore: 41
//#ExpectBefore: 42
//#ExpectOutput: 143
//#AfterRevert: 44
static mut COUNT: i64 = 0;
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { unsafe { COUNT += 1; x + COUNT } }
