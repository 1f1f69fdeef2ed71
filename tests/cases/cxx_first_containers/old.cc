// Containers that the object did not use before: debug information knows many types of one name then.
//#Cflags: -O2 -g -std=c++17
//#In clang O0: PatchgenRefuses: its code runs on past its end
//#ExpectBefore: 3
//#ExpectBefore: 4
//#ExpectOutput: 23
//#ExpectOutput: 23
//#AfterRevert: 7
#include <functional>
#include <memory>
#include <string>
#include <vector>
static std::vector<std::string> seen(2);
static std::unique_ptr<std::string> last;
static std::function<long(long)> plus = [](long x) { return x; };
long answer(long x) {
    last.reset(new std::string(std::to_string(x)));
    seen.push_back(*last);
    return plus(static_cast<long>(seen.size()));
}
