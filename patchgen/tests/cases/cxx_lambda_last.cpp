//#Changed: _Z5setupv
//#New: _ZZ5setupvENUliE1_4_FUNEi
int (*raw[3])(int);
void setup()
{
    raw[0] = [](int x) { return x + 3; };
    raw[1] = [](int x) { return x + 4; };
#ifdef NEW
    raw[2] = [](int x) { return x * 2000; };
#endif
}
