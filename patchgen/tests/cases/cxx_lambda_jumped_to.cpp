//#Refused: are numbered by place, and 1 was added: live ones would get another one's code
//#Refusals: 1
// `hold` calls them from a frame that `answer` has left.
long wait_for_it(long x);
template <typename F> __attribute__((noinline)) static long hold(F f, long x) { return f(wait_for_it(x)) + 1; }
long answer(long x)
{
#ifdef NEW
    if (x == 7)
        return hold([](long y) __attribute__((noinline)) { return y * 2 + 28; }, x);
#endif
    return hold([](long y) __attribute__((noinline)) { return y + 2; }, x);
}
