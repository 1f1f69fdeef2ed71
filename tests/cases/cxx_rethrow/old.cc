// New code catches, changes and throws on, from a function split into a hot and a cold piece.
//#ExpectBefore: 41
//#ExpectOutput: 51
//#ExpectOutput: 51
//#In clang O0: PatchgenRefuses: its code runs on past its end
struct Step { long by; };
__attribute__((noipa)) static void inner() { throw Step{1}; }
__attribute__((noipa)) static void middle() {
    try {
        inner();
    } catch (Step &step) {
        step.by += 0;
        throw;
    }
}
long answer(long x) {
    try {
        middle();
    } catch (const Step &step) {
        return x + step.by;
    }
    return -1;
}
