// The instructions are the same; only the exception table names another type.
//#ExpectBefore: 1
//#ExpectOutput: 2
struct A { long a; };
struct B { long a; };
__attribute__((noipa)) static void thrower(long x) {
    if (x) throw A{x};
    throw B{x};
}
__attribute__((noipa)) static long catcher(long x) {
    try {
        thrower(x);
    } catch (const A &) {
        return 1;
    }
    return 0;
}
long answer(long x) {
    try {
        return catcher(x);
    } catch (...) {
        return 2;
    }
}
