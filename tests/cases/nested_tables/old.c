// Constants that point to constants: all that changed travels, the rest is referred to.
//#ExpectBefore: 144
//#ExpectOutput: 147
struct entry { const char *name; const long *values; };
static const long low[] = {1, 2}, high[] = {100, 200};
static const struct entry entries[] = {{"low", low}, {"high", high}};
long answer(long x) { return x + entries[x & 1].values[0] + entries[(x & 1) ^ 1].values[0] + entries[1].name[0] - 'h' + 3; }
