// A base class grew, and moved what is in the class derived from it.
//#Refused: `struct Base` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `b` at offset 4 is new; it was 4 bytes long, and is 8 bytes
//#Refused: `struct Derived` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `c` was at offset 4, and is at offset 8; it was 8 bytes long, and is 12 bytes
class Base {
  public:
    int a;
#ifdef NEW
    int b;
#endif
    static int count;
};
class Derived : public Base {
  public:
    int c;
};
int get(Derived *d) { return d->a + d->c + Base::count; }
