//#Flags: -g
//#Refused: `limit` in
//#Refused: the compiler takes it for a constant now: what the running one holds would be ignored
//#Refused: `table` in `case.o`: the initial value of a live variable changed (`--allow-data` keeps the running one): was a variable and is a constant
//#Refused: `count.0` in
//#Refusals: 3
static int limit = 10;
static int table[4] = {1, 2, 3, 4};
#ifndef NEW
void set(int x) { limit = x; table[x & 3] = x; }
#endif
int f(int x)
{
    static int count;
#ifndef NEW
    count++;
#endif
    return x * x > limit + count + table[x & 1];
}
