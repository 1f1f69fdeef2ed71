typedef long action(long);
__attribute__((noipa)) static long add(long x) { return x + 3; }
static action *chosen;
long answer(long x) {
    if (!chosen)
        chosen = add;
    return chosen == add ? chosen(x) + 10 : -1;
}
