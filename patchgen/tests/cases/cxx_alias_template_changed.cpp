//#Flags: -g
//#Refused: `struct kept` in `case.o`: its layout changed, and live data may have the old one
//#Refusals: 1
// What an alias template stands for is compared where it is used.
template <typename T> struct one { T value, rest; };
template <typename T> struct other { T rest, value; };
#ifdef NEW
template <typename T> using box = other<T>;
#else
template <typename T> using box = one<T>;
#endif
struct kept { box<int> a; box<long> b; };
long f(kept *k) { return k->a.value + k->b.value; }
