// Numbers that macros make names with depend on the line.
//#Changed: show
//#Livepatch: __UNIQUE_ID_table_81
#include "kernel.h"
#define UNIQUE(number) __UNIQUE_ID_table_##number
#define TABLE(number) static int UNIQUE(number)[4] __attribute__((used)); \
	int same(int x) { return UNIQUE(number)[x]++; } \
	int show(int x) { return value(CHOOSE(1, 2)) + UNIQUE(number)[x]; }
#ifdef NEW
TABLE(93)
#else
TABLE(81)
#endif
