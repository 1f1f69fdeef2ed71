// The same in the stop, deep in a recursion that runs off the hook's stack.
//#ExpectBefore: 40
//#ApplyRefuses: crashed (signal 11)
long answer(long x) { return x; }
