//#Whole: yes
// Methods that are not virtual, static members and private types change nothing that lives.
class Counter {
  public:
#ifdef NEW
    int twice() const { return 2 * n; }
    enum { Limit = 9 };
    static int limit;
#endif
    int n;
    virtual int get() const;
};
int use(const Counter &c) {
#ifdef NEW
    return c.twice() > Counter::Limit ? 0 : c.get();
#else
    return c.get();
#endif
}
