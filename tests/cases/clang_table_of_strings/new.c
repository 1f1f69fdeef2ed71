// A `switch` that returns strings: clang makes a table of distances to mergeable strings, whose addends hold the place of the entry.
__attribute__((noinline)) static const char *name(long x) {
    switch (x) {
        case 0: return "aleph";
        case 1: return "beth";
        case 2: return "gimel";
        case 3: return "daleth";
        case 4: return "he";
    }
    return "none";
}
long answer(long x) { return name(x)[0] + name(4)[0] - 4; }
