namespace net {
struct Handle { long id = 1; long flags = 0; };
struct Session : Handle { long sent = 2; };
}
static net::Session session;
static net::Session *volatile current = &session;
long answer(long x) { return x + current->id + current->sent; }
