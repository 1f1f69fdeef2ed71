//#Changed: a
//#Reference: n.1
//#NotNew: n.0 n.1
int a(void)
{
    static int n = 1;
#ifdef NEW
    if (n > 100) n = 1;
#endif
    return n++;
}
int b(void) { static int n = 2; return n += 3; }
