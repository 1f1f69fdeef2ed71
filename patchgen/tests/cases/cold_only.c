//#Changed: f
//#New: f f.cold
void abort(void);
void say(const char *) __attribute__((cold));
int f(int x)
{
    if (x < 0) {
#ifdef NEW
        say("negative number");
#else
        say("negative");
#endif
        abort();
    }
    return x * 7;
}
