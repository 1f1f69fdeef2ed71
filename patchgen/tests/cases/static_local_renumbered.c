//#Changed: second
//#Reference: counter.0
//#New: added.1
#ifdef NEW
int zero(void) { static int before; return before++; }
#endif
int first(void) { return 1; }
int second(int by)
{
    static int counter = 5;
#ifdef NEW
    static int added = 9;
    added += by;
    counter += added;
#endif
    counter += by;
    return counter;
}
