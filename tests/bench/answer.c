/* What the benchmark patches: compiled with ADD=1 (old) and ADD=2 (new); with MANY, a thousand functions more. */
#include <stdio.h>

int answer(int x);
int answer_calls(void);

static int calls;
__attribute__((noinline)) static int helper(int x) { return x * 3; }

int answer(int x) {
    calls++;
    if (x < 0) {
        printf("negative %d\n", x);
        return helper(x);
    }
    return x + ADD;
}

int answer_calls(void) { return calls; }

#ifdef MANY
#define ONE(n) \
    int many_##n(int x); \
    int many_##n(int x) { return x * 7 + n + ADD; }
#define TEN(n) \
    ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) \
    TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
HUNDRED(10) HUNDRED(11) HUNDRED(12) HUNDRED(13) HUNDRED(14)
HUNDRED(15) HUNDRED(16) HUNDRED(17) HUNDRED(18) HUNDRED(19)
#endif
