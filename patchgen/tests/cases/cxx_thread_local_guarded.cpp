//#Refused: `_ZZ4sizevE4name` in `case.o`: it is initialised when it is first used, and the initialiser changed
//#Flags: -fno-threadsafe-statics
#include <string>
unsigned long size()
{
#ifdef NEW
    thread_local std::string name = "another default";
#else
    thread_local std::string name = "default";
#endif
    return name.size();
}
