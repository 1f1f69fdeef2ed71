//#Unchanged:
//#Flags: -fno-toplevel-reorder
int puts(const char *);
#ifdef NEW
int g(void) { static int n; return n++; }
int f(int x) { static int n; switch (x) { case 1: return puts("a"); case 2: return puts("b"); case 3: return n++; case 4: return 12; case 5: return 19; } return 0; }
#else
int f(int x) { static int n; switch (x) { case 1: return puts("a"); case 2: return puts("b"); case 3: return n++; case 4: return 12; case 5: return 19; } return 0; }
int g(void) { static int n; return n++; }
#endif
