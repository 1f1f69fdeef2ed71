#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const bug_names[BUGS] = {
    [BUG_ECHO_LENGTH] = "echo-length",
    [BUG_TTL_OVERFLOW] = "ttl-overflow",
    [BUG_TOKEN_PREFIX] = "token-prefix",
    [BUG_OVERSIZED_LINE] = "oversized-line",
    [BUG_TOKEN_GUESSING] = "token-guessing",
};

#define LONG_TTL 86400

static const char filler[] = "the quick brown fox jumps over the lazy dog, 0123456789 times; "
                             "pack my box with five dozen liquor jugs, and ship it by noon.";

/* Another length each round, and never the same twice in a row. */
static int filler_length(const struct script *script)
{
    return (int)(script->round * 7 % (sizeof(filler) - 1)) + 1;
}

#define ASK(script, ...) ((script)->request_length = snprintf((script)->request, REQUEST_SIZE, __VA_ARGS__))
#define EXPECT(script, ...) ((script)->expected_length = snprintf((script)->expected, REQUEST_SIZE, __VA_ARGS__))

static void expect_number(struct script *script, long least, long most)
{
    script->number = true;
    script->least = least;
    script->most = most;
}

static void ask_set(struct script *script)
{
    int length = filler_length(script);
    ASK(script, "SET %s %d %d\r\n%.*s\r\n", script->key, LONG_TTL, length, length, filler);
    EXPECT(script, "+OK\r\n");
}

static void ask_get(struct script *script)
{
    int length = filler_length(script);
    ASK(script, "GET %s\r\n", script->key);
    EXPECT(script, "$%d\r\n%.*s\r\n", length, length, filler);
}

static void ask_echo(struct script *script)
{
    int length = filler_length(script);
    ASK(script, "ECHO %d %.*s\r\n", length, length, filler);
    EXPECT(script, "$%d\r\n%.*s\r\n", length, length, filler);
}

static void ask_expire(struct script *script)
{
    ASK(script, "EXPIRE %s %d\r\n", script->key, LONG_TTL / 2);
    EXPECT(script, "+OK\r\n");
}

static void ask_ttl(struct script *script)
{
    ASK(script, "TTL %s\r\n", script->key);
    expect_number(script, LONG_TTL / 2 - 60, LONG_TTL / 2);
}

static void ask_right_token(struct script *script)
{
    ASK(script, "AUTH %s\r\n", script->token);
    EXPECT(script, "+OK\r\n");
}

/* Wrong from the first byte on, which every version refuses. */
static void ask_wrong_token(struct script *script)
{
    ASK(script, "AUTH %c%u\r\n", script->token[0] ^ 1, script->round);
    EXPECT(script, "-ERR wrong token\r\n");
}

static void ask_add(struct script *script)
{
    ASK(script, "ADD %s:n 3\r\n", script->key);
    expect_number(script, 3, 3);
}

static void ask_add_again(struct script *script)
{
    ASK(script, "ADD %s:n -5\r\n", script->key);
    expect_number(script, -2, -2);
}

static void ask_del(struct script *script)
{
    ASK(script, "DEL %s:n\r\n", script->key);
    EXPECT(script, "+OK\r\n");
}

static void ask_missing(struct script *script)
{
    ASK(script, "get %s:n\r\n", script->key);
    EXPECT(script, "$-1\r\n");
}

static void ask_unknown(struct script *script)
{
    ASK(script, "NONSENSE %u\r\n", script->round);
    EXPECT(script, "-ERR unknown command\r\n");
}

static const struct step {
    void (*ask)(struct script *script);
    unsigned bugs; /* a bit for each bug whose fix changes code on the way */
} steps[] = {
    {ask_set, 1u << BUG_TTL_OVERFLOW},
    {ask_get, 0},
    {ask_echo, 1u << BUG_ECHO_LENGTH},
    {ask_right_token, 1u << BUG_TOKEN_PREFIX | 1u << BUG_TOKEN_GUESSING},
    {ask_expire, 1u << BUG_TTL_OVERFLOW},
    {ask_ttl, 0},
    {ask_add, 0},
    {ask_echo, 1u << BUG_ECHO_LENGTH},
    {ask_wrong_token, 1u << BUG_TOKEN_PREFIX | 1u << BUG_TOKEN_GUESSING},
    {ask_add_again, 0},
    {ask_del, 0},
    {ask_missing, 0},
    {ask_unknown, 0},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

void script_begin(struct script *script, const char *token, unsigned who)
{
    *script = (struct script){.token = token, .step = STEPS - 1, .round = who};
    snprintf(script->key, sizeof(script->key), "load:%d:%u", (int)getpid(), who);
}

void script_next(struct script *script)
{
    script->number = false;
    script->step = (script->step + 1) % STEPS;
    if (script->step == 0)
        script->round++;
    steps[script->step].ask(script);
}

bool script_accepts(const struct script *script, const char *reply, size_t length)
{
    if (!script->number)
        return length == (size_t)script->expected_length && memcmp(reply, script->expected, length) == 0;
    char *end;
    long number = reply[0] == ':' ? strtol(reply + 1, &end, 10) : 0;
    return reply[0] == ':' && *end == '\r' && number >= script->least && number <= script->most;
}

bool script_exercises(const struct script *script, enum bug bug)
{
    /* Every request goes through the loop that looks for oversized lines. */
    return bug == BUG_OVERSIZED_LINE || (steps[script->step].bugs & 1u << bug) != 0;
}
