typedef long amount;
static volatile amount amounts[4] = {1, 2, 3, 4};
long answer(long x) { return x + amounts[1]; }
