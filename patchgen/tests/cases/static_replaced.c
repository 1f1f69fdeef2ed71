//#Flags: -g
//#Options: --allow-data narrow
//#Changed: f
//#New: wide
// Whoever knows that it is another one says so.
#ifdef NEW
static long wide;
int f(int x) { return (int)(wide += x * 7L); }
#else
static int narrow;
int f(int x) { return narrow += x; }
#endif
