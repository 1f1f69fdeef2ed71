/* What every client of kvd needs: connect, know where a reply ends, ask and wait for the answer. */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* The server, and the token that makes a client trusted. */
struct server {
    const char *address;
    unsigned short port;
    const char *token;
};

#define REPLY_SIZE 16384

int64_t clock_us(void);

/* A connected, blocking socket whose reads give up after five seconds. -1 on failure. */
int client_connect(const struct server *server);

/* Length of the reply at the front of the bytes; 0 when it is not all there yet. */
size_t client_reply_length(const char *data, size_t length);

/*
 * Sends the bytes and reads one reply, which is terminated by a NUL not counted in the result.
 * Returns its length; 0 when the server closed the connection without one; -1 on any other failure.
 */
long client_ask(int socket, const char *request, size_t length, char reply[REPLY_SIZE]);

/* The same for a request in printf's manner. */
long client_askf(int socket, char reply[REPLY_SIZE], const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
