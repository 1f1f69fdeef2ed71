// Objects whose calls of the tracer are listed only when they are linked.
//#Flags: -mno-record-mcount
//#Changed: show
//#Entries: __mcount_loc 8
#include "kernel.h"
int show(int x) { return value(x + CHOOSE(1, 2)); }
int other(int x) { return value(x); }
