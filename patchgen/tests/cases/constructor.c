//#Refused: a constructor or destructor was added
int state;
#ifdef NEW
__attribute__((constructor)) static void start(void) { state = 4; }
#endif
int f(void) { return state; }
