long answer(long x) {
    if (x == 40)
        return 42;
    __asm__ volatile("");
    __builtin_unreachable();
}
