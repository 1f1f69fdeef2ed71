//#Changed: g
//#NotNew: f
int puts(const char *);
#ifdef NEW
__attribute__((noipa)) int g(int x) { return x + 2; }
#else
__attribute__((noipa)) int g(int x) { return x + 1; }
#endif
int f(int x)
{
    switch (x) {
    case 1: return puts("one");
    case 2: return puts("two") + 3;
    case 3: return puts("three") * 2;
    case 4: return puts("four") - x;
    case 5: return puts("five") / 3;
    case 6: return g(x);
    }
    return 0;
}
