// Threads that never leave the allocator for long, threads that wait for its lock, and a hook that allocates.
//#ExpectBefore: 40
//#ExpectOutput: 41
long answer(long x) { return x; }
