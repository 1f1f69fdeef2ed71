#include "conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "limits.h"
#include "log.h"
#include "parse.h"

void conn_open(struct conn *conn, int socket, char *input)
{
    static unsigned long last_id;
    *conn = (struct conn){
        .session.socket = socket,
        .input = input,
        .last_active = clock_ms(),
        .id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED),
    };
    COUNT(accepted);
}

void conn_close(struct conn *conn)
{
    reply_free(&conn->reply);
    close(conn->session.socket);
    COUNT(closed);
}

/* Serves the requests at the front of the input and keeps the rest. False: close the connection. */
static bool serve(struct conn *conn)
{
    size_t done = 0;
    while (!conn->session.ended) {
        struct request request;
        size_t used = 0;
        struct slice input = {conn->input + done, conn->input_length - done};
        enum parse_status status = parse_request(input, &request, &used);
        if (status == PARSE_MORE)
            break;
        if (status == PARSE_TOO_LONG)
            return false;
        if (status == PARSE_OK)
            command_dispatch(&conn->session, &request, &conn->reply);
        else
            reply_error(&conn->reply, parse_error_text(status));
        done += used;
    }
    conn->input_length -= done;
    if (done > 0 && conn->input_length > 0)
        memmove(conn->input, conn->input + done, conn->input_length);
    return true;
}

/* What one read brought. */
enum input { INPUT_BYTES, INPUT_NONE, INPUT_END };

static enum input fill(struct conn *conn)
{
    ssize_t got;
    do
        got = recv(conn->session.socket, conn->input + conn->input_length, INPUT_SIZE - conn->input_length, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return INPUT_NONE;
    if (got <= 0)
        return INPUT_END;
    conn->input_length += (size_t)got;
    conn->last_active = clock_ms();
    return INPUT_BYTES;
}

bool conn_ready(struct conn *conn)
{
    for (;;) {
        if (!reply_send(&conn->reply, conn->session.socket))
            return false;
        /* A client that does not read its replies is not read from either. */
        if (reply_pending(&conn->reply))
            return true;
        if (conn->session.ended)
            return false;
        enum input input = fill(conn);
        if (input != INPUT_BYTES)
            return input == INPUT_NONE;
        if (!serve(conn)) {
            reply_send(&conn->reply, conn->session.socket);
            return false;
        }
    }
}
