//#Changed: get
//#New: get
extern void *slow(long), *volatile p;
static void *cached[10];
void *get(long n)
{
#ifdef NEW
    if (n < 0) return 0;
#endif
    if (n < 10 && cached[n]) return cached[n];
    return slow(n);
}
