static int mode;
long answer(long x) {
    if (x == 10) mode = (int)x;
    return mode * x;
}
