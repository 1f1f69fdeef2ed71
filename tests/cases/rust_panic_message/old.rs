// A panic's message and place change, and code of core that the program has is called.
//#Cflags: -Copt-level=2 -Cpanic=abort
//#ExpectBefore: 50
//#ExpectOutput: 60
#[inline(never)]
fn checked(x: i64) -> i64 {
    assert!(x < 1000, "x is {x}");
    x + 10
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 {
    checked(x)
}
