//#Changed: f
//#Reference: shared mine hidden table
//#NotNew: shared mine hidden table
extern int shared;
int mine = 4;
static int hidden;
static const int table[] = { 5, 6, 7, 8, 9, 10 };
void set(int x) { hidden = x; }
int f(int x)
{
#ifdef NEW
    x &= 3;
#endif
    hidden += mine;
    return shared + hidden + table[x];
}
