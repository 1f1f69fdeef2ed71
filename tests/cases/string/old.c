// A changed string constant, beside one that stays.
//#ExpectBefore: hello, world
//#ExpectOutput: good bye, world
const char *greeting(void) { return "hello"; }
const char *whom(void) { return "world"; }
