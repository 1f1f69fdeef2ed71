//#Unchanged:
//#FlagsNew: -g0
int puts(const char *);
int f(int x) { return puts("x") + x; }
