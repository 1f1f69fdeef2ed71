//#Refused: `<case::B as case::T>::{vtable}` in `case.o`: the vtable changed
//#Refusals: 1
// Two methods are one function in the old code, and two in the new: objects that live lead to the one.
pub trait T { fn f(&self) -> i64; }
pub struct A(i64);
pub struct B(i64);
impl T for A { fn f(&self) -> i64 { self.0 * 31 + 7 } }
impl T for B { fn f(&self) -> i64 { if cfg!(new) { self.0 * 31 + 70000 } else { self.0 * 31 + 7 } } }
#[unsafe(no_mangle)]
pub fn make(second: bool, size: i64) -> Box<dyn T> {
    if second { Box::new(B(size)) } else { Box::new(A(size)) }
}
