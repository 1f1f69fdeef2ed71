// Debug information calls all that an alias template stands for by one name.
template <bool> struct chooser {
    template <typename T, typename> using type = T;
};
template <> struct chooser<false> {
    template <typename, typename T> using type = T;
};
template <bool which, typename T, typename U> using chosen = typename chooser<which>::template type<T, U>;
struct kept { chosen<true, int, long> a; };
int f(kept *k)
{
#ifdef NEW
    chosen<false, char, double> b = k->a;
    chosen<true, short, double> c = static_cast<short>(b);
    return c;
#else
    return k->a;
#endif
}
