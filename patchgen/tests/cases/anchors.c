//#Changed: f
//#Anchor: reset helper
//#Reference: limit helper
//#NotNew: helper limit reset
static int limit;
int puts(const char *);
__attribute__((noipa)) void reset(int by) { if (by > 100) puts("resetting"); limit = by; if (by < 3) puts("small"); }
static __attribute__((noipa)) int helper(int x) { if (x == 7) puts("seven"); return x * 3 + (x >> 4); }
int get(void) { return limit; }
int user(int x) { return helper(x) + 1; }
int f(int x)
{
#ifdef NEW
    if (x > limit) return helper(x);
#endif
    return x;
}
