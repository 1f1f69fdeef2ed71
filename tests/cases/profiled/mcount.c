void mcount(void) {}
