//#Changed: two
//#NotNew: dispatch table
static int one(int x) { return x + 1; }
static int two(int x)
{
#ifdef NEW
    return x + 3;
#else
    return x + 2;
#endif
}
static int (*const table[])(int) = { one, two };
int dispatch(int i, int x) { return table[i](x); }
