// Lists of BTF numbers are the running kernel's, whatever numbers the names of their entries end with.
//#Changed: show
//#Livepatch: first second
#include "kernel.h"
BTF_LIST(first, BTF_ENTRY(struct__sk_buff, CHOOSE(10, 21)) BTF_ENTRY(struct__sock, CHOOSE(11, 22)))
BTF_LIST(second, BTF_ENTRY(func__value, CHOOSE(12, 23)))
extern unsigned first[], second[];
int same(void) { return first[0] + second[0]; }
int show(int x) { return value(x + CHOOSE(1, 2)) + first[1] + second[0]; }
