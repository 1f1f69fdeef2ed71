// The old object has no sections for functions and variables, the new one has.
//#Cflags: -O2
//#NewCflags: -O2 -ffunction-sections -fdata-sections
//#NoSections
//#NoChange
//#ExpectBefore: 127
static long a = 1;
static long table[] = {1, 2, 3, 4};
__attribute__((noipa)) static long helper(long x) { return table[x & 3] + a++; }
long answer(long x) {
    switch (x) {
    case 1: return helper(1);
    case 2: return helper(7) * 3;
    case 3: return x;
    case 4: return helper(9) ^ 2;
    case 5: return 77;
    case 6: return helper(3) - 1;
    }
    return 127;
}
