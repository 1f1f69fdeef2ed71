//#Unchanged:
int puts(const char *);
#ifdef NEW
#line 100
#endif
int f(void) { return puts("one") + puts("two"); }
int g(void) { return puts("two") + puts("three"); }
