//#Refused: indirect function
static int plain(int x) { return x; }
static int fast(int x) { return x << 1 >> 1; }
extern int choose(void);
#ifdef NEW
static void *resolve(void) { return choose() ? (void *)plain : (void *)fast; }
#else
static void *resolve(void) { return (void *)plain; }
#endif
int pick(int) __attribute__((ifunc("resolve")));
