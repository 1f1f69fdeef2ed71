//#Changed: leave
//#Anchor: rest
extern const char *volatile state;
const char *volatile state;
extern int pauses;
int pauses;
// The linker may leave it out.
void sleep_long(void)
{
    state = "a state that the program knows by its address";
    for (int i = 0; i < 10; i++)
        pauses += i ^ pauses;
}
__attribute__((noipa)) static void rest(int by)
{
    state = "a state that the program knows by its address";
    for (int i = 0; i < by; i++)
        pauses += i ^ pauses ^ (pauses >> by) ^ (pauses * i);
}
void leave(int x)
{
#ifdef NEW
    if (x > 5)
        state = "a state that the program knows by its address";
#endif
    pauses = x;
}
void stay(void) { rest(7); }
