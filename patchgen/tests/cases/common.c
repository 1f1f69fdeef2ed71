//#Flags: -fcommon
//#Refused: new common symbol `fresh`
int existing;
#ifdef NEW
int fresh;
int f(int x) { fresh++; return existing + x; }
#else
int f(int x) { return existing + x; }
#endif
