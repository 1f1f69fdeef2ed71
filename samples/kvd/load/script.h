/*
 * The conversation that each connection of the load repeats. Its keys are the connection's own, so
 * that every answer is known beforehand; and it asks nothing that a fix answers in another way.
 */
#ifndef LOAD_SCRIPT_H
#define LOAD_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_SIZE 2048

/* The bugs that ../fixes repairs. */
enum bug { BUG_ECHO_LENGTH, BUG_TTL_OVERFLOW, BUG_TOKEN_PREFIX, BUG_OVERSIZED_LINE, BUG_TOKEN_GUESSING, BUGS };

extern const char *const bug_names[BUGS];

/* Where a connection stands. */
struct script {
    const char *token;
    char key[32]; /* begin of its keys */
    unsigned step;
    unsigned round;
    bool number;        /* the answer is a number from `least` to `most`, else it is `expected` */
    long least, most;
    char request[REQUEST_SIZE];
    char expected[REQUEST_SIZE];
    int request_length, expected_length;
};

/* `who` must differ between the connections of one run. */
void script_begin(struct script *script, const char *token, unsigned who);

/* Writes the next request and what must come back. */
void script_next(struct script *script);

/* Whether the reply to the last request is right. */
bool script_accepts(const struct script *script, const char *reply, size_t length);

/* Whether the last request ran code that the fix of the bug changes. */
bool script_exercises(const struct script *script, enum bug bug);

#endif
