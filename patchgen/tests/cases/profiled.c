//#Flags: -pg -mfentry
//#Changed: f
//#Reference: __fentry__
int f(int x)
{
#ifdef NEW
    return x + 1;
#else
    return x;
#endif
}
int g(int x) { return x * 3; }
