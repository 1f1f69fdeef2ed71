extern long (*callback)(long);
static long more(long x) { return x + 100; }
long answer(long x) {
    callback = more;
    return callback(x);
}
