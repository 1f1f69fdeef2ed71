//#Refused: are numbered by place, and 1 was added: live ones would get another one's code
//#Refusals: 2
// Each lambda has the name of the next one now.
int (*raw[3])(int);
void setup()
{
#ifdef NEW
    raw[2] = [](int x) { return x * 2000; };
#endif
    raw[0] = [](int x) { return x + 3; };
    raw[1] = [](int x) { return x + 4; };
}
