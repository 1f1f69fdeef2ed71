#include "auth.h"

#include "command.h"
#include "counters.h"
#include "limits.h"
#include "log.h"

static char secret[MAX_WORD + 1];

bool auth_open(const char *token)
{
    size_t length = strlen(token);
    if (length == 0 || length > MAX_WORD)
        return false;
    memcpy(secret, token, length + 1);
    return true;
}

static bool token_matches(struct slice token)
{
    return strncmp(secret, token.data, token.length) == 0;
}

bool auth_login(struct session *session, struct slice token)
{
    static bool seen;
    session->trusted = token_matches(token);
    if (!session->trusted)
        COUNT(refused);
    else if (!__atomic_exchange_n(&seen, true, __ATOMIC_RELAXED))
        log_line("a client has shown the token for the first time");
    return session->trusted;
}

bool auth_allows(const struct session *session, struct slice token)
{
    if (session->trusted && token_matches(token))
        return true;
    COUNT(refused);
    return false;
}
