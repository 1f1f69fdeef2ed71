//#Changed: get one two
//#Quiesce: get.part.0
extern int slow(long), more(long);
static int other;
int get(long n)
{
#ifdef NEW
    if (n < 0) return 1;
#else
    if (n < 0) return 0;
#endif
    for (int i = 0; i < 10; i++) { slow(n); more(n + i); slow(n * i); more(other++); slow(other); }
    return more(n) * slow(n);
}
int one(long n) { return get(n) + 2; }
int two(long n) { return get(n) * 3; }
