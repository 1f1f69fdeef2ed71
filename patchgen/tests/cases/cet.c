//#Flags: -fcf-protection=full
//#Changed: f
int puts(const char *);
int f(int x)
{
#ifdef NEW
    if (x) return 4;
#endif
    return puts("cet");
}
