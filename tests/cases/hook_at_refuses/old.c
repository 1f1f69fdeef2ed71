// A hook that says no in the stop: the entries are written back in the same stop.
//#ExpectBefore: 40
//#ApplyRefuses: the at-apply hook `no` of `fix` in process
//#In c++: ApplyRefuses: the at-apply hook `_ZL2nov` of `fix` in process
long answer(long x) { return x; }
