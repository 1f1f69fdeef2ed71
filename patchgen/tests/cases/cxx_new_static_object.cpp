//#Refused: it runs when the program starts, and changed: what it does now would never be done
//#Refusals: 1
#include <map>
#include <set>
#include <string>
static std::map<std::string, long> permitted = {{"get", 1}, {"exec", 3}};
#ifdef NEW
static const std::set<std::string> blocked = {"exec", "rm"};
#endif
long f(const std::string &s)
{
#ifdef NEW
    if (blocked.count(s))
        return -1;
#endif
    return permitted[s]++;
}
