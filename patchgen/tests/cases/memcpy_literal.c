//#Changed: f
//#NotNew: g
struct huge { const char *name; int a[200]; };
void take(struct huge *);
void f(void)
{
#ifdef NEW
    struct huge b = { "first", { 1, 2, 3, [120] = 6 } };
#else
    struct huge b = { "first", { 1, 2, 3, [120] = 5 } };
#endif
    take(&b);
}
void g(void)
{
    struct huge b = { "second", { 3, 2, 1, [100] = 5 } };
    take(&b);
}
