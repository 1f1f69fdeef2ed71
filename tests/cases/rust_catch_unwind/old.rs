// New code catches the panic of old code.
//#Cflags: -Copt-level=2 -Cpanic=unwind
//#ExpectBefore: 41
//#ExpectOutput: 42
//#ExpectOutput: 42
#[inline(never)]
fn inner(x: i64) -> i64 { if x > 10 { std::panic::resume_unwind(Box::new(x)) } else { x } }
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 {
    match std::panic::catch_unwind(|| inner(x)) {
        Ok(value) => value,
        Err(caught) => *caught.downcast::<i64>().unwrap_or_default() + 1,
    }
}
