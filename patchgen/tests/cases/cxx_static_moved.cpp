//#Refused: `_ZL5moved` may be the same one in another place: what the running one holds would be ignored
//#Refused: `_ZZ1giE7crossed` may be the same one in another place
//#Refused: `_ZL5total`, which is new where it was used, may be the same one by another name
//#Refusals: 3
#ifdef NEW
static int moved;
static int total;
#define sum total
#else
static int sum;
#endif
int f(int x)
{
#ifndef NEW
    static int moved;
    static int crossed;
    crossed += x;
#endif
    sum += x;
    return moved += sum;
}
int g(int x)
{
#ifdef NEW
    static int crossed;
    x += crossed++;
#endif
    sum += x;
    return x * 3;
}
