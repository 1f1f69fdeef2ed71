struct item { unsigned count; char *name; struct item *next; struct item *user; };
enum kind { FIRST, SECOND, THIRD };
static struct item item = {2, (char *)"two", 0, 0};
static volatile enum kind kind = SECOND;
long answer(long x) { return x + item.count + (kind == SECOND) + (kind == THIRD ? 0 : 100); }
