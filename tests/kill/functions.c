/* Three functions, each on pages of its own, so that a patch of all takes three writes. */
#define ALONE __attribute__((noipa, aligned(16384)))

ALONE int one(int x) { return x + FIRST * 1000; }
ALONE int two(int x) { return x + REST * 1000; }
ALONE int three(int x) { return x + REST * 1000; }
