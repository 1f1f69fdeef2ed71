//#Refused: `_ZZ4sizevE4name` in `case.o`: it is initialised when it is first used, and the initialiser changed
//#Flags: -fno-threadsafe-statics -O0
#include <string>
unsigned long size()
{
#ifdef NEW
    static std::string name = "another default";
#else
    static std::string name = "default";
#endif
    return name.size();
}
