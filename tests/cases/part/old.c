// Partial inlining: the head goes into the callers, the rest is a function of its own (`.part`).
//#OldHas: work.part
//#ExpectBefore: 820
//#ExpectOutput: 821
extern long sink;
long sink;
static long work(long x) {
    if (!x)
        return 0;
    long sum = 0;
    for (long i = 1; i <= x; i++) {
        sum += i;
        sink += sum / i;
        sink ^= sum * i;
        if (sink == 77)
            sink = sum % (i + 3);
        sink += sum / (i + 1);
        sink ^= sum * (i + 2);
        if (sink == 99)
            sink = sum % (i + 5);
    }
    return sum;
}
long first(long x) { return work(x) + work(x + 2); }
long second(long x) { return work(x) - 3; }
long answer(long x) { return work(x); }
