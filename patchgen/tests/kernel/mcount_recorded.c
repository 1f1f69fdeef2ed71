// The list of the object itself would say each place twice.
//#Changed: show
//#Entries: __mcount_loc 8
#include "kernel.h"
int show(int x) { return value(x + CHOOSE(1, 2)); }
int other(int x) { return value(x); }
