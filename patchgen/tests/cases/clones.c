//#Flags: -fipa-cp-clone -O3
//#Changed: work.constprop.0
//#NotNew: f g
static int __attribute__((noinline)) work(int a, int b, int c)
{
#ifdef NEW
    return a * b + c + 1;
#else
    return a * b + c;
#endif
}
int f(int x) { return work(x, 3, 4) + 1; }
int g(int x) { return work(x + 1, 3, 4) * 2; }
