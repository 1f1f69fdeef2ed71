// A hook that sleeps past its time.
//#Apply: --hook-timeout 200ms
//#ExpectBefore: 40
//#ApplyRefuses: did not return in time
long answer(long x) { return x; }
