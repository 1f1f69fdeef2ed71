//#Options: --allow-data init
//#Changed: f
//#Changed: init
// It stays in the program, and runs no more.
int atoi(const char *);
static int key[4];
__attribute__((constructor)) static void init(void)
{
#ifdef NEW
    key[0] = atoi("7");
#else
    key[0] = atoi("2");
#endif
}
#ifdef NEW
int f(int x) { return key[x & 3] * x; }
#else
int f(int x) { return key[x & 3]; }
#endif
