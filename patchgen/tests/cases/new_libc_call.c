//#Changed: f
//#Reference: strnlen
unsigned long strnlen(const char *, unsigned long);
unsigned long f(const char *s)
{
#ifdef NEW
    return strnlen(s, 64);
#else
    unsigned long n = 0;
    while (s[n]) n++;
    return n;
#endif
}
