enum state { IDLE, BUSY };
static volatile enum state state = BUSY;
long answer(long x) { return state == BUSY ? x : -x; }
// The number that means `BUSY` is in live data.
//#Cflags: -O2 -gdwarf-4
//#ExpectBefore: 40
//#PatchgenRefuses: `enum state` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): enumerator `BUSY` was 1, and is 2
