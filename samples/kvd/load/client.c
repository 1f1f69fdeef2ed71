#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int client_connect(const struct server *server)
{
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    struct timeval patience = {.tv_sec = 5};
    int on = 1;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || inet_aton(server->address, &remote.sin_addr) == 0)
        return -1;
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client, (struct sockaddr *)&remote, sizeof(remote)) == 0)
        return client;
    close(client);
    return -1;
}

size_t client_reply_length(const char *data, size_t length)
{
    const char *newline = memchr(data, '\n', length);
    if (newline == NULL)
        return 0;
    size_t line = (size_t)(newline - data) + 1;
    if (data[0] != '$' || data[1] == '-')
        return line;
    size_t whole = line + strtoul(data + 1, NULL, 10) + 2;
    return length >= whole ? whole : 0;
}

long client_ask(int socket, const char *request, size_t length, char reply[REPLY_SIZE])
{
    size_t have = 0;
    if (send(socket, request, length, MSG_NOSIGNAL) != (ssize_t)length)
        return -1;
    while (have < REPLY_SIZE - 1) {
        ssize_t got = recv(socket, reply + have, REPLY_SIZE - 1 - have, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 && have == 0 ? 0 : -1;
        have += (size_t)got;
        if (client_reply_length(reply, have) == have) {
            reply[have] = '\0';
            return (long)have;
        }
    }
    return -1;
}

long client_askf(int socket, char reply[REPLY_SIZE], const char *format, ...)
{
    char request[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(request, sizeof(request), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(request))
        return -1;
    return client_ask(socket, request, (size_t)length, reply);
}
