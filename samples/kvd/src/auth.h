/* Who may do what: one token, given at start, that trusted clients show. */
#ifndef KVD_AUTH_H
#define KVD_AUTH_H

#include <stdbool.h>

#include "slice.h"

struct session;

/* False when the token is too long to be kept. */
bool auth_open(const char *token);

/* Marks the session as trusted when the token is the right one; takes the mark away otherwise. */
bool auth_login(struct session *session, struct slice token);

/* For commands so destructive that the token is asked for once more. */
bool auth_allows(const struct session *session, struct slice token);

#endif
