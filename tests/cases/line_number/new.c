// One line

// and two more.
void report(const char *file, int line);



long answer(long x) {
    if (x < 0)
        report(__FILE__, __LINE__);
    return x + 1;
}
