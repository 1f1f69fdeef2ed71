// A string that is told by its address, which new code is the first of its function to use: an unchanged function tells where it is.
//#ExpectBefore: 7
//#ExpectOutput: 17
//#AfterRevert: 7
static const char *volatile state;
static volatile long pauses;
__attribute__((noipa)) static void enter(long x) { state = x > 0 ? "idle" : "busy"; }
__attribute__((noipa)) static void rest(void) {
    state = "paused";
    pauses++;
}
__attribute__((noipa)) static long is_paused(void) { return state == "paused"; }
long answer(long x) {
    enter(x);
    if (x < -100)
        rest();
    return 7 + 10 * is_paused();
}
