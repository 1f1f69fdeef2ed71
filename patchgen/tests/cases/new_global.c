//#Changed: f
//#New: limit names
int puts(const char *);
#ifdef NEW
int limit = 40;
const char *names[] = { "a", "b" };
int f(int x) { if (x > limit++) return puts(names[x & 1]); return x; }
#else
int f(int x) { return x; }
#endif
