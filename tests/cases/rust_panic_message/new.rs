// A comment moves the lines.
#[inline(never)]
fn checked(x: i64) -> i64 {
    assert!(x < 2000, "{x} is too large");
    x + 20
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 {
    checked(x)
}
