//#Changed: handler install
//#Reference: handler@running
extern int (*hook)(int);
int handler(int x)
{
#ifdef NEW
    return x + 2;
#else
    return x + 1;
#endif
}
int install(int x)
{
#ifdef NEW
    if (x) hook = handler;
#else
    hook = handler;
#endif
    return hook == handler;
}
