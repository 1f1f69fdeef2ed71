//#Changed: f
//#NotNew: g
int puts(const char *);
int f(void) {
#ifdef NEW
    return puts("hello, new world");
#else
    return puts("hello, world");
#endif
}
int g(void) { return puts("unchanged"); }
