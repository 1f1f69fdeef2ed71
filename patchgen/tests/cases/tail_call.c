//#Changed: f
//#Warning: `f` ends by jumping to `g`
extern int g(int);
int f(int x)
{
#ifdef NEW
    if (x < 0) return 0;
#endif
    return g(x + 1);
}
