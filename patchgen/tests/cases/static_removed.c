//#Flags: -g
//#Changed: f
#ifdef NEW
int f(int x)
{
    int count = x + 4;
    return x * x > count;
}
#else
static int limit = 10;
void set(int x);
void set(int x) { limit = x; }
int f(int x)
{
    static int count;
    return x * x > limit + count++;
}
#endif
