//#Changed: _ZZ5setupvENUliE0_4_FUNEi
#ifdef NEW
#define BY *
#else
#define BY +
#endif
int (*raw[3])(int);
void setup()
{
    raw[0] = [](int x) { return x + 3; };
    raw[1] = [](int x) { return x BY 4; };
}
