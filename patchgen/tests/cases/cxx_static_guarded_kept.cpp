//#Changed: _Z4sizel
//#Flags: -fno-threadsafe-statics
#include <string>
unsigned long size(long x)
{
    static std::string name = "default";
#ifdef NEW
    if (x > 5)
        return 77;
#endif
    return name.size() + x;
}
