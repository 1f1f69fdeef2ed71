#include "livepatch.h"
struct client { long id; };
extern struct client clients[4];
struct count { long before; long asked; char pad[40]; };
LIVEPATCH_SHADOW(struct count, client_count);
long answer(long x) {
    struct client *client = &clients[x % 4];
    struct count *count = livepatch_attach(client_count, client);
    if (!count || livepatch_get(client_count, client) != count || livepatch_get(client_count, client + 1))
        return -1;
    return x + client->id + ++count->asked;
}
