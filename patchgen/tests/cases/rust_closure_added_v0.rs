//#Flags: -Csymbol-mangling-version=v0
//#Refused: of `case::setup::{closure}` are numbered by place, and 1 was added: live ones would get another one's code
pub type Step = Box<dyn Fn(i64) -> i64>;
#[unsafe(no_mangle)]
pub fn setup(steps: &mut Vec<Step>, by: i64) {
    #[cfg(new)]
    steps.push(Box::new(move |x| x * 1000 + by));
    steps.push(Box::new(move |x| x + 1 + by));
    steps.push(Box::new(move |x| x * 3 + by));
}
