//#Changed: _Z6answerl
//#Changed: _Z5applyIZ6answerlEUllE0_ElT_l.constprop.0
//#Changed: _Z5applyIZ6answerlEUllE_ElT_l.constprop.0
//#New: _Z5applyIZ6answerlEUllE1_ElT_l.constprop.0
// Each lambda has the name of the next one now, but only `answer` leads to them.
static long calls;
template <typename F> __attribute__((noinline)) static long apply(F f, long x) { return f(x) + ++calls; }
long answer(long x)
{
    return
#ifdef NEW
        apply([](long y) { return y * 2 + 28; }, x) +
#endif
        apply([](long y) { return y + 2; }, x) + apply([](long y) { return y * 3; }, 0);
}
