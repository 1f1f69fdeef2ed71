//#Changed: f
// Labels that no longer matter when the function returns.
int f(const char *p, int n)
{
    void *next = n > 3 ? &&more : &&less;
#ifdef NEW
    n += 2;
#endif
    while (*p++) {
        goto *next;
    more:
        n += *p;
        next = &&less;
        continue;
    less:
        n -= *p;
        next = &&more;
    }
    return n;
}
