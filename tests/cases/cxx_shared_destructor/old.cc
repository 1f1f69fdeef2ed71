// In a library a destructor has two names at one place; calls go through the procedure linkage table by one of them.
//#Link: shared
//#ExpectBefore: 42
//#ExpectOutput: 43
struct Held {
    long *count;
    explicit Held(long *count);
    ~Held();
};
__attribute__((noipa)) Held::Held(long *count) : count(count) { ++*count; }
__attribute__((noipa)) Held::~Held() { *count += 3; }
extern "C" long answer(long x) {
    long count = 2 * x;
    { Held held(&count); }
    return count + x - 82;
}
