//#Flags: -fPIC -fno-plt
//#Changed: f
//#Reference: puts shared
int puts(const char *);
extern int shared;
int f(int x)
{
#ifdef NEW
    if (x > 4) shared++;
#endif
    return puts("called through the slot");
}
