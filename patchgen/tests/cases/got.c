//#Flags: -fPIC
//#Changed: f
//#Reference: shared puts callback
extern int shared;
int puts(const char *);
int callback(int x) { return x; }
int (*f(int x))(int)
{
#ifdef NEW
    if (x > 4) puts("more");
#endif
    shared += x;
    return callback;
}
