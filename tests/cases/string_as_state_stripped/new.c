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
    if (x > 5)
        state = "paused";
    return 7 + 10 * is_paused();
}
