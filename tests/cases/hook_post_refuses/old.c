// A hook that says no after the switch: the patch is taken back.
//#ExpectBefore: 40
//#ApplyRefuses: the post-apply hook `no` of `fix` in process
//#In c++: ApplyRefuses: the post-apply hook `_ZL2nov` of `fix` in process
long answer(long x) { return x; }
