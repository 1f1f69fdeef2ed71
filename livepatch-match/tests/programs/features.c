/* What a function can refer to, and what moves when functions share a section. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int exported = 3;
static int hidden[16] = {1, 2, 3};
const char *const names[] = {"zero", "one", "two"};
static const double scale[] = {1.5, 2.5, 3.5};
__thread int tls_exported = 5;
static __thread int tls_hidden = 7;
static __thread char tls_block[64];
extern int other_data;
extern __thread int tls_other;
extern __thread long tls_other_wide;
int other_function(int);
int other_variadic(const char *, ...);
__attribute__((weak)) int missing(int);
static int tiny(int a) { return a * 3; }

__attribute__((noinline)) static int leaf(int a) { return a + hidden[a & 15]; }
__attribute__((noinline)) int tail(int a) { return leaf(a + 1); }
__attribute__((noinline)) int conditional_tail(int a) {
    if (a > 3)
        return leaf(a);
    if (a < -3)
        return other_function(a);
    return tail(a * 2);
}

__attribute__((noinline)) int dispatch(int a, int b) {
    switch (a) {
    case 0: return b + exported;
    case 1: return leaf(b);
    case 2: hidden[b & 15]++; return 2;
    case 3: return other_function(b);
    case 4: return tiny(b) + hidden[3];
    case 5: printf("five %d\n", b); return 5;
    case 6: return (int)strlen(names[b & 1]);
    case 7: return b * 17 + other_data;
    case 8: abort();
    case 9: return tls_hidden;
    default: return -1;
    }
}

__attribute__((noinline)) int table(int a) { return hidden[a] + exported * (int)scale[a & 1]; }
__attribute__((noinline)) const char *name(int a) { return names[a % 3]; }
__attribute__((noinline)) int *address(void) { return &exported; }
__attribute__((noinline)) int (*pointer(int a))(int) { return a ? leaf : other_function; }
int (*pointers[])(int) = {leaf, tail, other_function};
__attribute__((noinline)) int indirect(int a) { return pointers[a % 3](a); }

__attribute__((noinline)) int tls_read(void) { return tls_exported + tls_hidden; }
__attribute__((noinline)) void tls_write(int a) { tls_exported = a; tls_hidden = a + 1; tls_other = a; }
__attribute__((noinline)) int *tls_address(void) { return &tls_other; }
__attribute__((noinline)) long tls_many(int a) {
    tls_block[a & 63]++;
    memset(tls_block, a, sizeof tls_block);
    tls_other_wide += tls_hidden;
    return tls_other_wide + tls_block[3];
}
__attribute__((noinline)) long tls_loop(int n) {
    long sum = 0;
    while (n-- > 0)
        sum += tls_other + other_function(n) + tls_hidden;
    return sum;
}

__attribute__((noinline)) int recursive(int a) { return a < 2 ? 1 : recursive(a - 1) + recursive(a - 2); }
__attribute__((noinline)) int weak(int a) { return missing ? missing(a) : -a; }

__attribute__((noinline)) double loops(double *data, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            sum += data[i] * data[j] / scale[j & 1];
            if (sum > 100)
                sum -= other_function(i);
        }
    return sum;
}

static void fail(const char *what) __attribute__((cold, noreturn, noinline));
static void fail(const char *what) { fprintf(stderr, "%s\n", what); exit(1); }
__attribute__((noinline)) int checked(int *data, int n) {
    int sum = 0;
    if (!data)
        fail("no data");
    for (int i = 0; i < n; i++) {
        if (__builtin_expect(data[i] < 0, 0)) {
            other_variadic("negative %d %s\n", data[i], names[0]);
            other_function(tls_hidden);
        }
        sum += data[i];
    }
    return sum;
}

static jmp_buf jump;
__attribute__((noinline)) int jumps(int a) {
    if (setjmp(jump))
        return a;
    if (a)
        longjmp(jump, 1);
    return 0;
}

__attribute__((noinline)) int atomics(int *p) {
    __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST);
    return __atomic_exchange_n(&exported, *p, __ATOMIC_SEQ_CST) + __sync_val_compare_and_swap(&hidden[1], 1, 2);
}
__attribute__((noinline)) int compares(int *p) { return (p == &other_data) + (p != &exported) + (p > hidden); }

int main(int argc, char **argv) {
    double data[] = {1, 2, 3};
    int sum = dispatch(argc, 2) + conditional_tail(argc) + table(argc & 1) + (int)name(argc)[0] + *address();
    sum += pointer(argc)(1) + indirect(argc) + tls_read() + *tls_address() + (int)tls_many(3) + (int)tls_loop(2);
    tls_write(sum);
    sum += recursive(5) + weak(1) + (int)loops(data, 3) + checked(&sum, 1) + jumps(0) + atomics(&sum) + compares(&sum);
    printf("%d %s\n", sum, argv[0]);
    return 0;
}
