//#Changed: f
//#New: f
int f(const char *p)
{
    static const void *const labels[] = { &&zero, &&one, &&two };
    int n = 0;
#ifdef NEW
    if (!p) return -1;
#endif
    goto *labels[p[0] & 1];
zero: n += 3; goto *labels[p[1] & 1];
one: n *= 5; goto *labels[2];
two: return n;
}
