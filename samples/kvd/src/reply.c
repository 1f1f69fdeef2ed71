#include "reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define FIRST_CAPACITY 1024

static bool reserve(struct reply *reply, size_t more)
{
    if (reply->failed || more <= reply->capacity - reply->length)
        return !reply->failed;
    size_t capacity = reply->capacity ? reply->capacity : FIRST_CAPACITY;
    while (capacity - reply->length < more)
        capacity *= 2;
    char *data = realloc(reply->data, capacity);
    if (data == NULL) {
        reply->failed = true;
        return false;
    }
    reply->data = data;
    reply->capacity = capacity;
    return true;
}

void reply_bytes(struct reply *reply, const char *data, size_t length)
{
    if (length == 0 || !reserve(reply, length))
        return;
    memcpy(reply->data + reply->length, data, length);
    reply->length += length;
}

void reply_format(struct reply *reply, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0)
        reply_bytes(reply, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

void reply_ok(struct reply *reply)
{
    reply_bytes(reply, "+OK\r\n", 5);
}

void reply_error(struct reply *reply, const char *text)
{
    reply_format(reply, "-ERR %s\r\n", text);
}

void reply_number(struct reply *reply, long long number)
{
    reply_format(reply, ":%lld\r\n", number);
}

void reply_none(struct reply *reply)
{
    reply_bytes(reply, "$-1\r\n", 5);
}

void reply_blob(struct reply *reply, struct slice blob)
{
    reply_format(reply, "$%zu\r\n", blob.length);
    reply_bytes(reply, blob.data, blob.length);
    reply_bytes(reply, "\r\n", 2);
}

bool reply_pending(const struct reply *reply)
{
    return reply->sent < reply->length;
}

bool reply_send(struct reply *reply, int socket)
{
    if (reply->failed)
        return false;
    while (reply_pending(reply)) {
        ssize_t sent = send(socket, reply->data + reply->sent, reply->length - reply->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        reply->sent += (size_t)sent;
    }
    reply->length = reply->sent = 0;
    return true;
}

void reply_free(struct reply *reply)
{
    free(reply->data);
    *reply = (struct reply){0};
}
