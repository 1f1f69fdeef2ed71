struct entry { int low, high; };
static struct entry entry = {1, 2};
static void *of(void) { return &entry; }
long answer(long x) { return x + ((struct entry *)of())->low; }
// Two fields changed places; no variable of the changed function has the type.
//#Cflags: -O2 -g -gz
//#ExpectBefore: 41
//#PatchgenRefuses: field `low` was at offset 0, and is at offset 4; field `high` was at offset 4, and is at offset 0
