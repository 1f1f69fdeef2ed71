static int mode;
long answer(long x) {
    if (x == 10) mode = 9;
    return mode * x;
}
