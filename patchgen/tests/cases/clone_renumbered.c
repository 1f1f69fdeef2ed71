//#Changed: g
//#NotNew: other work.constprop.0 work.constprop.1
//#Reference: other.constprop.0
static int __attribute__((noinline)) other(int a, int b) { return a / b; }
#ifdef NEW
static int __attribute__((noinline)) first(int a, int b) { return a % b; }
int h(int x) { return first(x, 9); }
int g(int x) { return other(x, 5) + 1; }
#else
int g(int x) { return other(x, 5); }
#endif
