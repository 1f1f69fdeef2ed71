// Labels as values: a table of addresses inside the function.
//#Ask: 1
//#ExpectBefore: 20
//#ExpectOutput: 25
long answer(long x) {
    static const void *const labels[] = {&&zero, &&one, &&two};
    goto *labels[x % 3];
zero:
    return 10;
one:
    return 20;
two:
    return 30;
}
