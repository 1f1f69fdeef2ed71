//#Options: --allow-data limit
//#Changed: f
//#Reference: limit
#ifdef NEW
int limit = 6;
int f(void) { return limit + 1; }
#else
int limit = 5;
int f(void) { return limit; }
#endif
