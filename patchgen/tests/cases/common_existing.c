//#Flags: -fcommon
//#Changed: f
//#Reference: existing
int existing;
#ifdef NEW
int f(int x) { return existing + x + 1; }
#else
int f(int x) { return existing + x; }
#endif
