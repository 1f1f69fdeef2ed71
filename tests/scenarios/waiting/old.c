// A program of one thread, which waits in calls that go on by restart_syscall(2).
//#ExpectBefore: 40
//#ExpectOutput: 41
long answer(long x) { return x; }
