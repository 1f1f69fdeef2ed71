extern long seen;
long seen;
long answer(long x) {
    for (long i = 0; i < x; i++) {
        if (i % 2)
            seen += i;
        else if (i % 3)
            seen ^= i;
    }
    if (seen < 0)
        return seen;
    return 60;
}
