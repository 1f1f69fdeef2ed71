// A `match` to strings is a table of addresses or distances, also in code that does not change.
#[inline(never)]
fn name(x: i64) -> &'static str {
    match x {
        0 => "aleph",
        1 => "beth",
        2 => "gimel",
        3 => "daleth",
        4 => "he",
        _ => "none",
    }
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { i64::from(name(x).as_bytes()[0]) + i64::from(name(4).as_bytes()[0]) }
