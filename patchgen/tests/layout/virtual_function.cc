// Live objects have the old table of virtual functions.
//#Whole: yes
//#Refused: `struct net::Stream` in `old.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): slot 0 of its virtual functions was `
namespace net {
struct Stream {
#ifdef NEW
    virtual int check() = 0;
#endif
    virtual int read() = 0;
    int fd;
};
}
int use(net::Stream &s) {
#ifdef NEW
    if (s.check())
        return -1;
#endif
    return s.read() + s.fd;
}
