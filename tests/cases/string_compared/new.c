static const char *volatile path = "default";
__attribute__((noipa)) static void set(const char *to) { path = to; }
__attribute__((noipa)) static long is_set(void) { return path == "default" ? 10 : 20; }
long answer(long x) {
    if (x < -100)
        set("other");
    return is_set();
}
