//#Flags: -fno-pie -fno-pic
//#Changed: f
//#New: f
int puts(const char *);
int f(int x)
{
    switch (x) {
    case 1: return puts("one");
    case 2: return puts("two") + 3;
    case 3: return puts("three") * 2;
#ifdef NEW
    case 5: return puts("four") - x;
    case 4: return puts("five") / 3;
#else
    case 4: return puts("four") - x;
    case 5: return puts("five") / 3;
#endif
    case 6: return x * 77;
    }
    return 0;
}
