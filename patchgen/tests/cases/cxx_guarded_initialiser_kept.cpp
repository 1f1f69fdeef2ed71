//#Changed: _Z1fRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE
// Only what is around it changed.
#include <string>
#include <vector>
inline const std::vector<long> &ports()
{
    static const std::vector<long> list = {22, 80, 443, 8080};
    return list;
}
long f(const std::string &s)
{
    static const std::string fast("[a-z./]+");
#ifdef NEW
    if (s.size() > 100 || s.empty())
        return -1;
    for (char c : s)
        if (c == '/')
            return static_cast<long>(ports().size()) * s.front();
#endif
    return static_cast<long>(s.find(fast)) + ports()[1];
}
