//#Refused: `_ZZ1fRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEE4fast` in `case.o`: it is initialised when it is first used, and the initialiser changed
//#Refused: `_ZZ5portsvE4list` in `case.o`: it is initialised when it is first used, and the initialiser changed
//#Refusals: 2
#include <string>
#include <vector>
inline const std::vector<long> &ports()
{
#ifdef NEW
    static const std::vector<long> list = {22, 80, 443};
#else
    static const std::vector<long> list = {22, 80, 443, 8080};
#endif
    return list;
}
long f(const std::string &s)
{
#ifdef NEW
    static const std::string fast("[a-z]+");
#else
    static const std::string fast("[a-z./]+");
#endif
    return static_cast<long>(s.find(fast)) + ports()[1];
}
