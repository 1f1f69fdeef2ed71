//#Flags: -g
//#Options: --allow-data limit
//#Changed: f
static int limit = 10;
#ifndef NEW
void set(int x) { limit = x; }
#endif
int f(int x) { return x * x > limit; }
