static const long table[] = {7, 11, 13, 17, 19, 23};
static const long *next = table;
long answer(long x) { return x + *next++; }
