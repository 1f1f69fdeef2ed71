long answer(long x) {
    static const void *const labels[] = {&&one, &&two, &&three, &&four};
    long sum = x;
    goto *labels[x & 3];
one: sum += 13; goto end;
two: sum += 5; goto end;
three: sum += 7; goto end;
four: sum += 9;
end: return sum;
}
