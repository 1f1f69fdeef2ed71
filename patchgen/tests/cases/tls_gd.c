//#Changed: f
//#Reference: mine theirs
//#Flags: -fPIC -ftls-model=global-dynamic
extern __thread int theirs;
static __thread int mine = 4;
int f(int x)
{
#ifdef NEW
    x++;
#endif
    mine += x;
    return mine + theirs;
}
