//#Changed: f
//#NotNew: user
extern int other(int) __attribute__((alias("f")));
__attribute__((noipa)) int f(int x)
{
#ifdef NEW
    return x + 1;
#else
    return x + 2;
#endif
}
int user(int x) { return other(x) * 3; }
