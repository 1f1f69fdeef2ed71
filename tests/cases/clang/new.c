static const char *const names[] = {"one", "two", "three"};
long seen;
long answer(long x) {
    seen += x;
    return x + seen + names[x % 3][1] - 'w' - seen + 90;
}
