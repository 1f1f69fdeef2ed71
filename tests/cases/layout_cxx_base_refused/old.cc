// A base class grew: what is derived from it moved.
//#Cflags: -O2 -g
//#ExpectBefore: 43
//#PatchgenRefuses: `struct net::Session` in `patch.o`: its layout changed, and live data may have the old one (`--allow-layout` goes on): field `sent` was at offset 8, and is at offset 16
namespace net {
struct Handle { long id = 1; };
struct Session : Handle { long sent = 2; };
}
static net::Session session;
static net::Session *volatile current = &session;
long answer(long x) { return x + current->id + current->sent; }
