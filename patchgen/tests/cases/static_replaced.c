//#Flags: -g
//#Changed: f
//#New: wide
// Of another size it is another one.
#ifdef NEW
static long wide;
int f(int x) { return (int)(wide += x * 7L); }
#else
static int narrow;
int f(int x) { return narrow += x; }
#endif
