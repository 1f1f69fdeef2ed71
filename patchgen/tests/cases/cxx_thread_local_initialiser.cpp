//#Refused: it initialises variables of each thread, and changed
#include <string>
#ifdef NEW
thread_local std::string name = "another default";
#else
thread_local std::string name = "default";
#endif
unsigned long size() { return name.size(); }
