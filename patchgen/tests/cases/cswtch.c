//#Changed: f
//#NotNew: g
int f(int x)
{
    switch (x) {
    case 1: return 101; case 2: return 207; case 3: return 33; case 4: return 12;
#ifdef NEW
    case 5: return 56;
#else
    case 5: return 55;
#endif
    case 6: return 9;
    }
    return 0;
}
int g(int x)
{
    switch (x) { case 1: return 11; case 2: return 27; case 3: return 133; case 4: return 2; case 5: return 99; }
    return 0;
}
