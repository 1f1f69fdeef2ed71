//#Changed: f
//#New: f f.cold
//#Reference: f.cold@running abort
void abort(void);
int f(int x)
{
#ifdef NEW
    if (x < 1) abort();
#else
    if (x < 0) abort();
#endif
    return x * 7;
}
