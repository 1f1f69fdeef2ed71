static const char *volatile state;
static volatile long bonus;
__attribute__((noipa)) static void enter(long x) {
    state = x > 0 ? "idle" : "busy";
    bonus = x > 5 ? 100 : 50;
}
__attribute__((noipa)) static long is_idle(void) { return state == "idle"; }
long answer(long x) {
    enter(x);
    return is_idle() + bonus;
}
