//#Refused: cannot be told which existing variable it is
// The old `n` has the name of the new one now.
int f(int x)
{
#ifdef NEW
    if (x > 100) { static int n = 5; n += x; return n; }
#endif
    if (x & 1) { static int n = 5; n++; return n; }
    return 0;
}
