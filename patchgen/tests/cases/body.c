//#Changed: f
//#Reference: f@running puts
//#NotNew: g
int puts(const char *);
int g(int x) { return x * 3; }
#ifdef NEW
int f(int x) { if (x < 0) return -1; puts("f"); return x + 1; }
#else
int f(int x) { puts("f"); return x + 1; }
#endif
