//#Changed: sum.isra.0
//#NotNew: f g
struct pair { int a, b, c; };
int take(struct pair *);
static int __attribute__((noinline)) sum(struct pair *p)
{
    int s = p->a + p->b;
#ifdef NEW
    return take(0) > 0 ? s : 0;
#else
    return take(0) + s;
#endif
}
int f(int x) { struct pair p = { x, x + 1, x + 2 }; return take(&p) + sum(&p); }
int g(struct pair *q) { return sum(q) - 1; }
