struct point { int x, y; };
static struct point last;
long answer(long x) {
    last.x = (int)x;
    return last.x + last.y;
}
// Only new code has the new type.
//#Cflags: -O2 -g
//#ExpectBefore: 40
//#ExpectOutput: 43
