// A list that only the kernel's start used.
//#Changed: show
#include "kernel.h"
BTF_LIST(first, BTF_ENTRY(struct__sk_buff, 1) CHOOSE(, BTF_ENTRY(struct__sock, 2)))
extern unsigned first[];
int __init start(void) { return first[0]; }
int show(int x) { return value(x + CHOOSE(1, 2)); }
