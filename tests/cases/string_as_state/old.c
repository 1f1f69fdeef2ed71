// A string that is told by its address: new code stores the program's, with which unchanged code compares.
//#ExpectBefore: 1
//#ExpectOutput: 101
//#AfterRevert: 1
static const char *volatile state;
static volatile long bonus;
__attribute__((noipa)) static void enter(long x) {
    state = x > 0 ? "idle" : "busy";
    bonus = 0;
}
__attribute__((noipa)) static long is_idle(void) { return state == "idle"; }
long answer(long x) {
    enter(x);
    return is_idle() + bonus;
}
