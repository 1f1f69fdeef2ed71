//#Changed: f
//#New: table
//#NotNew: g
#ifdef NEW
static const int table[] = { 5, 6, 7, 8, 9, 11 };
#else
static const int table[] = { 5, 6, 7, 8, 9, 10 };
#endif
int f(int x) { return table[x & 3] + table[5 & x]; }
int g(int x) { return x; }
