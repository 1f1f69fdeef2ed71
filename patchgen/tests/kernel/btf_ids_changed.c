//#Refused: `first` in `case.o`: it is a new or changed list of BTF numbers, which only the kernel's build fills in
#include "kernel.h"
BTF_LIST(first, BTF_ENTRY(struct__sk_buff, 1) CHOOSE(, BTF_ENTRY(struct__sock, 2)))
extern unsigned first[];
int show(int x) { return value(x) + first[0]; }
