//#Refused: are numbered by place, and 1 was added
struct Base { virtual int f(int) = 0; };
Base *live[3];
void setup()
{
#ifdef NEW
    { struct L : Base { int f(int x) override { return x * 1000; } }; live[2] = new L; }
#endif
    { struct L : Base { int f(int x) override { return x + 1; } }; live[0] = new L; }
    { struct L : Base { int f(int x) override { return x + 2; } }; live[1] = new L; }
}
