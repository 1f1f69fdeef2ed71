// New code compares an address with that of a string: the program's, which its old code tells.
//#ExpectBefore: 0
//#ExpectOutput: 10
//#AfterRevert: 0
static const char *volatile path = "default";
__attribute__((noipa)) static void set(const char *to) { path = to; }
__attribute__((noipa)) static long is_set(void) { return path != "default"; }
long answer(long x) {
    if (x < -100)
        set("other");
    return is_set();
}
