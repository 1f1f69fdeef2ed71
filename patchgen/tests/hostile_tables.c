/* What damaged objects are made from, by hostile_tables.rs and by scripts/fuzz, which also takes it for C++. */
#include <stdio.h>
#include <stdlib.h>
static int hits;
static __thread int mine;
int table(int x);
__attribute__((noinline)) static int helper(int x) { static int last; last += x; return last; }
int table(int x) {
    hits++;
    if (__builtin_expect(x > 1000, 0)) { fprintf(stderr, "far too large: %d\n", x); abort(); }
    switch (x) {
    case 0: return helper(3);
    case 1: return mine++;
    case 2: return hits * 2;
    case 3: puts("three"); return ADD;
    case 4: return helper(x) - 1;
    case 5: return 77;
    }
    return x + ADD;
}
int (*const pointers[])(int) = { table, helper };

#ifdef __cplusplus
struct Failure { int why; };
int guarded(int x)
{
    try {
        if (table(x) > ADD) throw Failure { x };
    } catch (const Failure &failure) {
        return failure.why + ADD;
    }
    return 0;
}
#endif
