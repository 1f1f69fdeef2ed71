// Debug information comes and goes.
//#Cflags: -O2 -g
//#NewCflags: -O2 -g0
//#NoChange
//#ExpectBefore: 41
struct pair { long a, b; };
long answer(long x) {
    struct pair pair = {x, 1};
    return pair.a + pair.b;
}
