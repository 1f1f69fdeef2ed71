// A hook that never returns is given up, whether it runs or sleeps.
//#Apply: --hook-timeout 200ms
//#ExpectBefore: 40
//#ApplyRefuses: the pre-apply hook `endless` of `fix` in process
//#In c++: ApplyRefuses: the pre-apply hook `_ZL7endlessv` of `fix` in process
long answer(long x) { return x; }
