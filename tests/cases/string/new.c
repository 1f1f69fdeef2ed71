const char *greeting(void) { return "good bye"; }
const char *whom(void) { return "world"; }
