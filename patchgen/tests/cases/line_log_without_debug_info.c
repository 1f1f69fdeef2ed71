//#Flags: -g0
//#Changed: f
void log_at(int level, const char *file, int line, const char *text, ...);
#ifdef NEW
#line 90
#endif
int f(int x) { if (x > 3) log_at(1, "x", __LINE__, "big"); return x; }
