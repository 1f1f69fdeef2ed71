typedef int amount;
static volatile amount amounts[4] = {1, 2, 3, 4};
long answer(long x) { return x + amounts[1]; }
// What a name stands for became longer.
//#Cflags: -O2 -g -fdebug-types-section
//#ExpectBefore: 42
//#PatchgenRefuses: `typedef amount` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): it stood for `int` (4 bytes), and is `long int` (8 bytes)
//#In clang: PatchgenRefuses: `typedef amount` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): it stood for `int` (4 bytes), and is `long` (8 bytes)
