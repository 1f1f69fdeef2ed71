//#Changed: _Z1fi
//#Reference: _ZZ1fiE1n _ZZ1fiE1n_0
// Which of two is which is told by their numbers as long as there are two.
int f(int x)
{
    if (x > 100) { static int n = 5; n += x; return n; }
    if (x & 1) { static int n = 5; n++; return n; }
#ifdef NEW
    return 1;
#else
    return 0;
#endif
}
