//#Changed: f
//#NotNew: g
int take(int, int);
#ifdef NEW
#define SIZE 30
#line 30
#else
#define SIZE 9
#endif

int f(int x) { return take(x, SIZE); }
int g(int x) { return take(x, 7); }
