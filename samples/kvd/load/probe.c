#include "probe.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script.h"

#define CLIENTS 32 /* more than workers, so that some meet in one worker's buffers */
#define SECRET "card=4929-0000-1111-2222"

static char reply[REPLY_SIZE];

/* One line, what cannot be printed as dots, runs of zeros left out. */
static void show(const char *who, const char *text, size_t length)
{
    printf("%-4s ", who);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\r' || byte == '\n')
            fputs(byte == '\r' ? "\\r" : "\\n", stdout);
        else if (byte != 0 || i == 0 || text[i - 1] != 0)
            putchar(isprint(byte) ? byte : '.');
    }
    putchar('\n');
}

/* Clients that show a secret to the server and say good-bye. */
static bool leave_secrets(const struct server *server)
{
    int sockets[CLIENTS];
    bool done = true;
    for (int i = 0; i < CLIENTS; i++) {
        sockets[i] = client_connect(server);
        done &= client_askf(sockets[i], reply, "SET probe:%d 1 %zu\r\n%s\r\n", i, strlen(SECRET), SECRET) > 0;
        done &= client_askf(sockets[i], reply, "DEL probe:%d\r\n", i) > 0;
    }
    /* Read to the end: the server has let go of the buffer then. */
    for (int i = 0; i < CLIENTS; i++) {
        done &= client_askf(sockets[i], reply, "QUIT\r\n") > 0 && read(sockets[i], reply, 1) == 0;
        close(sockets[i]);
    }
    return done;
}

static enum verdict ask_for_more(const struct server *server, bool *leaked)
{
    enum verdict verdict = PROBE_ERROR;
    int client = client_connect(server);
    long length = client_askf(client, reply, "ECHO 96 hello\r\n");
    if (length > 0 && reply[0] == '$') {
        verdict = PROBE_VULNERABLE;
        *leaked = memmem(reply, (size_t)length, &SECRET[8], strlen(SECRET) - 8) != NULL;
    } else if (length > 0 && strcmp(reply, "-ERR bad length\r\n") == 0) {
        verdict = PROBE_FIXED;
    }
    close(client);
    return verdict;
}

static enum verdict probe_echo_length(const struct server *server, bool verbose)
{
    if (!leave_secrets(server))
        return PROBE_ERROR;
    enum verdict verdict = PROBE_ERROR;
    bool leaked = false;
    for (int i = 0; i < CLIENTS && !leaked; i++) {
        verdict = ask_for_more(server, &leaked);
        if (verdict != PROBE_VULNERABLE)
            break;
    }
    if (verbose) {
        show("ask", "ECHO 96 hello\r\n", 15);
        show("got", reply, client_reply_length(reply, sizeof(reply)));
    }
    return verdict;
}

static enum verdict probe_ttl_overflow(const struct server *server, bool verbose)
{
    enum verdict verdict = PROBE_ERROR;
    const long ttl = 4294968; /* times 1000 this is 704 modulo 2 to the power of 32 */
    int client = client_connect(server);
    if (client_askf(client, reply, "SET probe:%d %ld 1\r\nx\r\n", getpid(), ttl) > 0
        && client_askf(client, reply, "TTL probe:%d\r\n", getpid()) > 0) {
        long left = reply[0] == ':' ? strtol(reply + 1, NULL, 10) : 0;
        verdict = left > ttl - 60 && left <= ttl ? PROBE_FIXED : PROBE_VULNERABLE;
        if (verbose) {
            printf("ask  SET key %ld 1 x, then TTL key\n", ttl);
            show("got", reply, strlen(reply));
        }
        client_askf(client, reply, "DEL probe:%d\r\n", getpid());
    }
    close(client);
    return verdict;
}

static enum verdict probe_token_prefix(const struct server *server, bool verbose)
{
    enum verdict verdict = PROBE_ERROR;
    int client = client_connect(server);
    if (client_askf(client, reply, "AUTH %s\r\n", server->token) > 0 && strcmp(reply, "+OK\r\n") == 0
        && client_askf(client, reply, "AUTH %c\r\n", server->token[0]) > 0) {
        verdict = reply[0] == '+' ? PROBE_VULNERABLE : PROBE_FIXED;
        if (verbose) {
            printf("ask  AUTH %c\n", server->token[0]);
            show("got", reply, strlen(reply));
        }
    }
    close(client);
    return verdict;
}

static enum verdict probe_oversized_line(const struct server *server, bool verbose)
{
    char line[2000];
    memset(line, 'x', sizeof(line));
    int client = client_connect(server);
    long length = client_ask(client, line, sizeof(line), reply);
    close(client);
    if (verbose) {
        printf("ask  %zu bytes with no end of line\n", sizeof(line));
        show("got", length > 0 ? reply : "end of file", length > 0 ? (size_t)length : strlen("end of file"));
    }
    if (length == 0)
        return PROBE_VULNERABLE;
    return length > 0 && strcmp(reply, "-ERR line too long\r\n") == 0 ? PROBE_FIXED : PROBE_ERROR;
}

static enum verdict probe_token_guessing(const struct server *server, bool verbose)
{
    enum verdict verdict = PROBE_ERROR;
    int client = client_connect(server);
    long length = 1;
    for (int guess = 0; guess < 6 && length > 0; guess++)
        length = client_askf(client, reply, "AUTH wrong-%d\r\n", guess);
    if (length > 0 && client_askf(client, reply, "AUTH %s\r\n", server->token) > 0) {
        verdict = strcmp(reply, "+OK\r\n") == 0 ? PROBE_VULNERABLE : PROBE_FIXED;
        if (verbose) {
            printf("ask  AUTH with six wrong tokens and the right one\n");
            show("got", reply, strlen(reply));
        }
    }
    close(client);
    return verdict;
}

enum verdict probe(const struct server *server, const char *bug, bool verbose)
{
    static enum verdict (*const probes[BUGS])(const struct server *server, bool verbose) = {
        [BUG_ECHO_LENGTH] = probe_echo_length,
        [BUG_TTL_OVERFLOW] = probe_ttl_overflow,
        [BUG_TOKEN_PREFIX] = probe_token_prefix,
        [BUG_OVERSIZED_LINE] = probe_oversized_line,
        [BUG_TOKEN_GUESSING] = probe_token_guessing,
    };
    for (int i = 0; i < BUGS; i++)
        if (strcmp(bug, bug_names[i]) == 0)
            return probes[i](server, verbose);
    fprintf(stderr, "load: there is no bug `%s`\n", bug);
    return PROBE_ERROR;
}
