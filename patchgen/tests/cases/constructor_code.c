//#Refused: `init` in `case.o`: it runs when the program starts, and changed
//#Refused: `fill` in `case.o`: it runs when the program starts, and changed
//#Refusals: 2
int atoi(const char *);
static int key[4];
__attribute__((noinline)) static void fill(int from)
{
#ifdef NEW
    from *= 2;
#endif
    for (int i = 0; i < 4; i++)
        key[i] = from + i;
}
__attribute__((constructor)) static void init(void)
{
#ifdef NEW
    fill(atoi("7"));
#else
    fill(atoi("2"));
#endif
}
int f(int x) { return key[x & 3]; }
