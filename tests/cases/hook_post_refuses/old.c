// A hook that says no after the switch: the patch is taken back.
//#ExpectBefore: 40
//#ApplyRefuses: the post-apply hook `no` of `fix` in process
long answer(long x) { return x; }
