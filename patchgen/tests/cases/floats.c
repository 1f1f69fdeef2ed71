//#Changed: f
//#NotNew: g
double f(double x)
{
#ifdef NEW
    return x * 2.5 + 1.25;
#else
    return x * 2.5 + 1.5;
#endif
}
double g(double x) { return x * 2.5 - 7.75; }
