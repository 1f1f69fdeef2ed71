//#Changed: g
//#NotNew: f
struct big { int a[16]; };
void take(struct big *);
void f(void)
{
    struct big b = { { 9, 8, 7, 6, 5, 4, 3, 2, 1, 10, 11, 12, 13, 14, 15, 16 } };
    take(&b);
}
void g(void)
{
#ifdef NEW
    struct big b = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17 } };
#else
    struct big b = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
#endif
    take(&b);
}
