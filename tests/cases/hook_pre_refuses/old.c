// A hook that says no before the switch; one before it had said yes, so what it did is made up for.
//#ExpectBefore: 40
//#ApplyRefuses: the pre-apply hook `no` of `fix` in process
//#In c++: ApplyRefuses: the pre-apply hook `_ZL2nov` of `fix` in process
long state;
long answer(long x) { return x + state; }
