struct pair { long a, b; };
long answer(long x) {
    struct pair pair = {x, 1};
    return pair.a + pair.b;
}
