//#Refused: `limit` in `case.o`
//#Refused: `shared_table` in `case.o`: a constant changed that other objects refer to
//#Refused: `fresh` in `case.o`: a new thread-local variable
//#Refusals: 3
#ifdef NEW
int limit = 6;
const int shared_table[4] = { 1, 2, 3, 5 };
static __thread int fresh;
int f(int x) { fresh += x; return fresh + limit; }
#else
int limit = 5;
const int shared_table[4] = { 1, 2, 3, 4 };
int f(int x) { return x + limit; }
#endif
