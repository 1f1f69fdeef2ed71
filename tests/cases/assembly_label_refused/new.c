long answer(long x) {
    __asm__ volatile("inner_label: nop");
    return x + 2;
}
