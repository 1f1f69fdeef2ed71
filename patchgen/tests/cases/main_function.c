//#Changed: main
//#Warning: `main` is on the stack
int main(int argc, char **argv)
{
#ifdef NEW
    return argc - 1;
#else
    return argc;
#endif
}
