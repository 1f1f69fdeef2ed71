//#Changed: leave
//#Anchor: rest
extern const char *volatile state;
const char *volatile state;
extern int pauses;
int pauses;
void rest(void)
{
    state = "a state that the program knows by its address";
    for (int i = 0; i < 10; i++)
        pauses += i ^ pauses;
}
void leave(int x)
{
#ifdef NEW
    if (x > 5)
        state = "a state that the program knows by its address";
#endif
    pauses = x;
}
