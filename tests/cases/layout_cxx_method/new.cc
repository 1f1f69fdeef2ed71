class Counter {
  public:
    enum { Limit = 100 };
    static constexpr long most = Limit;
    long get() const { return step; }
    __attribute__((always_inline)) long twice() const { return step > most ? most : 2 * step; }
  private:
    long step = 2;
};
static Counter counter;
static Counter *volatile current = &counter;
long answer(long x) { return x + current->twice(); }
