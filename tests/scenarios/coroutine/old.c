// A function that changes is suspended on a stack that no thread runs on.
//#ExpectBefore: 1
//#ExpectOutput: 2
void yield(void);
void leave_own_stack(void);
static volatile int unused;
long work(int suspend) {
    if (suspend == 1)
        yield();
    if (suspend == 2)
        leave_own_stack();
    unused++;
    return 1;
}
