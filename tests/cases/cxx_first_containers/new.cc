#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>
static std::vector<std::string> seen(2);
static std::unique_ptr<std::string> last;
static std::function<long(long)> plus = [](long x) { return x; };
long answer(long x) {
    last.reset(new std::string(std::to_string(x)));
    std::map<std::string, std::pair<int, long>> many;
    std::set<std::string> some(seen.begin(), seen.end());
    std::unordered_map<std::string, int> counts;
    for (const std::string &one : seen)
        many[one].first += ++counts[one];
    std::optional<std::string> known;
    auto found = std::find(seen.begin(), seen.end(), *last);
    if (found != seen.end())
        known = *found;
    seen.push_back(*last);
    std::sort(seen.begin(), seen.end());
    return plus(static_cast<long>(10 * some.size() + (known ? 3 : 7) + many.size() - counts.size()));
}
