// A hook that says no in the stop: the entries are written back in the same stop.
//#ExpectBefore: 40
//#ApplyRefuses: the at-apply hook `no` of `fix` in process
long answer(long x) { return x; }
