/* Two versions of the same functions: -DV=1 and -DV=2. The names say whether they are the same. */
#if V == 1
#define PICK(old, new) old
#else
#define PICK(old, new) new
/* Moves every line. */

#endif
#include <stddef.h>

struct pair {
    int a, b;
    struct pair *next;
};
extern int table[8], one, two;
extern __thread int tls_one, tls_two;
static int hidden_one, hidden_two;
int first(int), second(int);
void use(void *);

void same_writes(int x) { hidden_one += x, hidden_two -= x; }
int same_everything(int x) {
    for (int i = 0; i < x; i++)
        one += first(i) ? table[i] : hidden_one;
    return two;
}
int same_line(int x) { return x + first(x) * 3; }
/* Another function before it shifts everything. */
#if V == 2
int unrelated(int x) { return second(x) + 1; }
#endif
int same_moved(int x) { return same_line(x) + hidden_two++; }
int same_switch(int x) {
    switch (x) {
    case 0: return first(1);
    case 1: return second(2);
    case 2: return one;
    case 3: return two;
    case 4: return table[3];
    case 5: return tls_one;
    default: return -1;
    }
}

int diff_constant(int x) { return first(x) + PICK(1000, 1001); }
int diff_small_constant(int x) { return first(x) + PICK(3, 4); }
int diff_wide_constant(long x) { return x == PICK(0x1234567890, 0x1234567891); }
int diff_comparison(int x) { return x PICK(<, <=) one ? first(x) : second(x); }
int diff_signedness(int x) { return (PICK(int, unsigned))x / 4 + first(x); }
int diff_callee(int x) { return PICK(first, second)(x) + 1; }
int diff_order(int x) {
    int a = PICK(first, second)(x);
    return a * 5 + PICK(second, first)(a);
}
int diff_branches(int x) {
    if (x > 3)
        return PICK(first, second)(x) + one;
    return PICK(second, first)(x) + two;
}
int diff_field(struct pair *p) { return p->PICK(a, b); }
int diff_chain(struct pair *p) { return p->next->PICK(b, next->b); }
int diff_width(void *p) { return *(PICK(int, short) *)p; }
int diff_extension(void *p) { return *(PICK(signed, unsigned) char *)p; }
int diff_global(void) { return PICK(one, two); }
int diff_global_store(int x) { return PICK(one, two) = x; }
int diff_hidden(int x) { return PICK(hidden_one, hidden_two) += x; }
int diff_element(void) { return table[PICK(2, 3)]; }
int diff_index(int x) { return table[x + PICK(0, 1)]; }
int diff_scale(char *p, long i) { return ((PICK(short, int) *)p)[i]; }
int diff_tls(void) { return PICK(tls_one, tls_two); }
int *diff_tls_address(void) { return &PICK(tls_one, tls_two); }
int diff_access(void) { return PICK(one, (int)(size_t)&one); }
int diff_atomic(int *p) { PICK(++*p, __atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST)); return 0; }
int diff_bound(int x) {
    int sum = 0;
    for (int i = PICK(0, 1); i < x; i++)
        sum += first(i);
    return sum;
}
int diff_loop_target(int x) {
    int sum = 0;
again:
    sum += first(x);
#if V == 2
inner:
#endif
    use(&sum);
    x--;
    if (x > sum)
        goto PICK(again, inner);
    return sum;
}
int diff_recursion(int x) { return x < 2 ? 1 : x * PICK(diff_recursion, first)(x - one) + 1; }
int diff_tail(int x) { return PICK(first, second)(x + 1); }
int diff_pointer(int (**p)(int)) { *p = PICK(first, second); return 0; }
int diff_shift(int x) { return (x PICK(<<, >>) 3) + first(x); }
int diff_operands(int x, int y) { return PICK(x - y, y - x); }
int diff_check(struct pair *p) {
#if V == 2
    if (!p)
        return -1;
#endif
    return p->a;
}
