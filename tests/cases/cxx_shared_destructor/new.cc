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
    return count + x - 81;
}
