// Assembly in the function defines a name that others may jump to.
//#Forms: c
//#ExpectBefore: 41
//#PatchgenRefuses: inner_label
long answer(long x) {
    __asm__ volatile("inner_label: nop");
    return x + 1;
}
