// A panic's message and place: a line that moves is no change, a bound check is one.
//#Cflags: -Copt-level=2 -Cpanic=abort
//#ExpectBefore: 47
//#ExpectOutput: 57
static TABLE: [i64; 4] = [7, 8, 9, 10];
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { x + TABLE[x as usize % 4] }
