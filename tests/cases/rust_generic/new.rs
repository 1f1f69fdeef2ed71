#[inline(never)]
fn largest<T: Copy + PartialOrd>(items: &[T]) -> T {
    let mut best = items[0];
    for item in items { if *item > best { best = *item; } }
    best
}
#[no_mangle]
pub extern "C" fn answer(x: i64) -> i64 { largest(&[x, 3, 9]) + i64::from(largest(&[1_u8, x as u8 & 7, 10])) + i64::from(largest(&[1_i16, 14])) }
