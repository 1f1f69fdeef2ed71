struct item { int count; const char *name; struct item *next; void *user; };
enum kind { FIRST, SECOND };
static struct item item = {2, "two", 0, 0};
static volatile enum kind kind = SECOND;
long answer(long x) { return x + item.count + (kind == SECOND); }
// Signedness, `const`, `void *`, an enumerator at the end: live data stays what it is.
//#Cflags: -O2 -g
//#ExpectBefore: 43
//#ExpectOutput: 143
