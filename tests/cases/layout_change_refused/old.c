// With debug info: a structure that live data uses has another layout.
//#Cflags: -O2 -g
//#PatchgenRefuses: record
//#ExpectBefore: 41
struct record {
    int kind;
    int value;
};
struct record live[4];
long answer(long x) { return x + live[x & 3].value + 1; }
