//#Flags: -g
//#Refused: `_ZN3boxL5limitE` in
//#Refused: `_ZL5level` in
//#Refused: `_ZZ1fiE5count` in
//#Refusals: 3
namespace box { static int limit = 10; }
static int level = 2;
#ifndef NEW
void set(int x) { box::limit = x; level = x; }
#endif
int f(int x)
{
    static int count;
#ifndef NEW
    count++;
#endif
    return x * x > box::limit + count + level;
}
