//#Refused: `<case::Circle as case::Shape>::{vtable}` in `case.o`: the vtable changed
//#Refused: `<case::Square as case::Shape>::{vtable}` in `case.o`: the vtable changed
//#Refusals: 2
// Methods change places: objects that live have the old vtable.
#[cfg(not(new))]
pub trait Shape {
    fn area(&self) -> i64;
    fn around(&self) -> i64;
}
#[cfg(new)]
pub trait Shape {
    fn around(&self) -> i64;
    fn area(&self) -> i64;
}
pub struct Square(i64);
pub struct Circle(i64);
impl Shape for Square {
    fn area(&self) -> i64 { self.0 * self.0 }
    fn around(&self) -> i64 { self.0 * 4 }
}
impl Shape for Circle {
    fn area(&self) -> i64 { self.0 * self.0 * 3 }
    fn around(&self) -> i64 { self.0 * 6 }
}
#[unsafe(no_mangle)]
pub fn make(round: bool, size: i64) -> Box<dyn Shape> {
    if round { Box::new(Circle(size)) } else { Box::new(Square(size)) }
}
#[unsafe(no_mangle)]
pub fn measure(shape: &dyn Shape) -> i64 { shape.around() }
