//#Changed: one two
//#NotNew: check three
static inline int check(int x)
{
#ifdef NEW
    return x > 10 && x < 100;
#else
    return x > 10;
#endif
}
int one(int x) { return check(x) ? x : 0; }
int two(int x) { return check(x) ? x * 2 : 1; }
int three(int x) { return x * 5; }
