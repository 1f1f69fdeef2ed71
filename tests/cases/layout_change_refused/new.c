struct record {
    int value;
    int kind;
};
struct record live[4];
long answer(long x) { return x + live[x & 3].value + 1; }
