//#Refused: `table` in `case.o`: a live variable cannot grow (a shadow variable holds what is new): its size was 40 and is 80
//#Options: --allow-data table
#ifdef NEW
int table[20];
int f(unsigned i) { return i < 20 ? table[i]++ : 0; }
#else
int table[10];
int f(unsigned i) { return i < 10 ? table[i]++ : 0; }
#endif
