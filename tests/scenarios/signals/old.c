// A thread takes signals only inside epoll_pwait: each gives one run of the handler and one EINTR.
//#ExpectBefore: 41
//#ExpectOutput: 42
long answer(long x) { return x + 1; }
