//#Changed: f
//#Warning: `case.o`: a date is another one now, in "until Jan  1 2027", and was taken for that of the build
int puts(const char *);
void f(int x)
{
#ifdef NEW
    if (x > 5)
        puts("many");
#endif
    puts("called");
}
void until(void)
{
#ifdef NEW
    puts("until Jan  1 2027");
#else
    puts("until Jan  1 2026");
#endif
}
