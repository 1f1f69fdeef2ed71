extern long seen;
long seen;
long answer(long x) {
    switch (x) {
    case 1: seen++; return 11;
    case 2: seen += 2; return seen;
    case 3: seen *= 3; return x * x;
    case 4: seen -= 4; return 17;
    case 5: seen ^= 5; return x << 3;
    case 6: seen |= 6; return 61;
    case 7: seen &= 7; return 99;
    case 8: seen = 8; return 100;
    }
    return -1;
}
