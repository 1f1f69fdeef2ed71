// Functions and loops are aligned otherwise.
//#Cflags: -O2
//#NewCflags: -O2 -falign-functions=64 -falign-loops=32 -falign-jumps=16
//#NoChange
//#ExpectBefore: 780
__attribute__((noipa)) static long step(long x) { return x; }
long answer(long x) {
    long sum = 0;
    for (long i = 0; i < x; i++)
        sum += step(i);
    return sum;
}
