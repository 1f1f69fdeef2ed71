//#Changed: next
//#Reference: counter.0
//#NotNew: counter.0
int next(int by)
{
    static int counter = 5;
#ifdef NEW
    if (by < 0) return counter;
#endif
    counter += by;
    return counter;
}
