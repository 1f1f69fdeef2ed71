double lgamma_r(double x, int *sign);
long answer(long x) {
    int sign;
    return (long)lgamma_r((double)x, &sign);
}
