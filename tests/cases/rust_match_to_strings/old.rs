// A `match` to strings is a table of addresses or distances, also in code that does not change.
//#Cflags: -Copt-level=2
//#Ask: 3
//#ExpectBefore: 100
//#ExpectOutput: 204
#[inline(never)]
fn name(x: i64) -> &'static str {
    match x {
        0 => "aleph",
        1 => "beth",
        2 => "gimel",
        3 => "daleth",
        _ => "none",
    }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { i64::from(name(x).as_bytes()[0]) }
