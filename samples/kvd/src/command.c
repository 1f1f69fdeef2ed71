#include "command.h"

#include <strings.h>

#include "auth.h"
#include "counters.h"
#include "parse.h"
#include "reply.h"
#include "store.h"

static void run_ping(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    (void)request;
    reply_bytes(reply, "+PONG\r\n", 7);
}

static void run_echo(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    reply_blob(reply, request->data);
}

static void run_quit(struct session *session, const struct request *request, struct reply *reply)
{
    (void)request;
    session->ended = true;
    reply_ok(reply);
}

static void run_auth(struct session *session, const struct request *request, struct reply *reply)
{
    if (auth_login(session, request->word))
        reply_ok(reply);
    else
        reply_error(reply, "wrong token");
}

static void reply_status(struct reply *reply, enum store_status status)
{
    switch (status) {
    case STORE_OK:
        reply_ok(reply);
        break;
    case STORE_NOT_FOUND:
        reply_none(reply);
        break;
    case STORE_NOT_A_NUMBER:
        reply_error(reply, "value is not a number");
        break;
    case STORE_OUT_OF_RANGE:
        reply_error(reply, "number out of range");
        break;
    case STORE_NO_MEMORY:
        reply_error(reply, "out of memory");
        break;
    }
}

static void run_set(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    reply_status(reply, store_put(request->word, request->data, request->ttl));
}

static void run_get(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    if (store_get(request->word, reply) != STORE_OK)
        reply_none(reply);
}

static void run_del(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    reply_status(reply, store_remove(request->word));
}

static void run_expire(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    reply_status(reply, store_expire(request->word, request->ttl));
}

static void run_ttl(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    int64_t seconds;
    if (store_ttl(request->word, &seconds) == STORE_OK)
        reply_number(reply, seconds);
    else
        reply_none(reply);
}

static void run_add(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    int64_t sum;
    enum store_status status = store_add(request->word, request->number, &sum);
    if (status == STORE_OK)
        reply_number(reply, sum);
    else
        reply_status(reply, status);
}

static void run_flush(struct session *session, const struct request *request, struct reply *reply)
{
    if (!auth_allows(session, request->word)) {
        reply_error(reply, "wrong token");
        return;
    }
    store_flush();
    reply_ok(reply);
}

static void run_stats(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    (void)request;
    struct reply report = {0};
    counters_report(&report);
    reply_blob(reply, (struct slice){report.data, report.length});
    reply->failed |= report.failed;
    reply_free(&report);
}

static void run_drop(struct session *session, const struct request *request, struct reply *reply)
{
    (void)session;
    if (gauge_drop(request->word))
        reply_ok(reply);
    else
        reply_none(reply);
}

/* Few enough for a linear search; the frequent ones come first. */
static const struct command commands[] = {
    {"GET", "w", run_get, false},     {"SET", "wtb", run_set, false},      {"ADD", "wn", run_add, false},
    {"TTL", "w", run_ttl, false},     {"EXPIRE", "wt", run_expire, false}, {"DEL", "w", run_del, false},
    {"ECHO", "i", run_echo, false},   {"PING", "", run_ping, false},       {"AUTH", "w", run_auth, false},
    {"STATS", "", run_stats, false},  {"DROP", "w", run_drop, true},       {"FLUSH", "w", run_flush, true},
    {"QUIT", "", run_quit, false},
};

const struct command *command_find(struct slice name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *command = &commands[i];
        if (name.length == strlen(command->name) && strncasecmp(name.data, command->name, name.length) == 0)
            return command;
    }
    return NULL;
}

void command_dispatch(struct session *session, const struct request *request, struct reply *reply)
{
    COUNT(requests);
    if (request->command->trusted && !session->trusted) {
        COUNT(refused);
        reply_error(reply, "not allowed before AUTH");
        return;
    }
    request->command->run(session, request, reply);
}
