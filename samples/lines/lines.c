/*
 * A module in C with connections of TCP: each line that comes is answered with the version, how many came through this connection,
 * and the line. What is unfinished is module data, so a line may begin in one version and end in the next.
 *
 *     gcc -shared -fPIC -DVERSION='"1.0.0"' -I livepatch-module/include lines.c -o liblines_1.0.0.so
 *
 * Commands: `listen PORT`, `show`. -DFAIL_RESTART makes a version that fails.
 */
#include <livepatch_module.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_ 200
#define MANY 64

struct connection {
    uint64_t id; /* 0 when it is free */
    uint64_t lines;
    uint32_t length;
    char line[LINE_MAX_];
};

struct lines {
    uint64_t opened, ended;
    struct connection connections[MANY];
};

#define SCHEMA LP_SCHEMA(1, struct lines)

static struct connection *find(struct lines *lines, uint64_t id) {
    for (int index = 0; index < MANY; index++)
        if (lines->connections[index].id == id)
            return &lines->connections[index];
    return NULL;
}

static lp_result init(const struct lp_host *host, void **to) {
    struct lines *lines = host->alloc(host, sizeof *lines, 8);
    if (!lines)
        return LP_FAILED;
    memset(lines, 0, sizeof *lines);
    *to = lines;
    return LP_OK;
}

static lp_result quiet(const struct lp_host *host, void *data) {
    (void)host, (void)data;
    return LP_OK;
}

static lp_result restart(const struct lp_host *host, const void *data, uint32_t why) {
    (void)data, (void)why;
#ifdef FAIL_RESTART
    const struct lines *lines = data;
    if (why == LP_UPGRADE) {
        /* What it closes is open again once it has failed. */
        for (int index = 0; index < MANY; index++)
            if (lines->connections[index].id)
                host->close(host, lines->connections[index].id);
        return LP_FAILED;
    }
#endif
    (void)host;
    return LP_OK;
}

static lp_result answer(const struct lp_host *host, struct connection *connection) {
    char text[LINE_MAX_ + 64];
    connection->lines++;
    int length = snprintf(text, sizeof text, VERSION " %llu %.*s\n", (unsigned long long)connection->lines,
                          (int)connection->length, connection->line);
    connection->length = 0;
    return host->send(host, connection->id, NULL, (const uint8_t *)text, (uint64_t)length);
}

static lp_result came(const struct lp_host *host, struct connection *connection, const uint8_t *data, uint64_t len) {
    lp_result result = LP_OK;
    for (uint64_t index = 0; index < len; index++) {
        if (data[index] == '\n')
            result = answer(host, connection) == LP_OK ? result : LP_FAILED;
        else if (connection->length < LINE_MAX_)
            connection->line[connection->length++] = (char)data[index];
    }
    return result;
}

static lp_result line(const struct lp_host *host, void *data, const struct lp_event *event) {
    struct lines *lines = data;
    struct connection *connection = find(lines, event->kind == LP_CONNECTED ? 0 : event->source);
    if (!connection) /* too many */
        return host->close(host, event->source);
    switch (event->kind) {
    case LP_CONNECTED:
        lines->opened++;
        *connection = (struct connection){.id = event->source};
        return LP_OK;
    case LP_ENDED:
        lines->ended++;
        connection->id = 0;
        return host->close(host, event->source);
    default:
        return came(host, connection, event->data, event->len);
    }
}

static lp_result command(const struct lp_host *host, void *data, const struct lp_event *event) {
    const struct lines *lines = data;
    char words[64] = {0}, text[64] = "listening";
    bool good = event->len < sizeof words;
    if (good)
        memcpy(words, event->data, event->len);
    if (good && !strncmp(words, "listen\n", 7)) {
        struct lp_socket socket = {.size = sizeof socket, .kind = LP_TCP4, .name = "lines", .entry = "line"};
        socket.address.ip = 0x7f000001;
        socket.address.port = (uint16_t)strtoul(words + 7, NULL, 10);
        uint64_t id;
        good = host->open(host, &socket, &id) == LP_OK;
    } else if (good && !strcmp(words, "show")) {
        snprintf(text, sizeof text, "opened %llu ended %llu", (unsigned long long)lines->opened,
                 (unsigned long long)lines->ended);
    } else {
        good = false;
    }
    return host->reply(host, event->source, good ? 0 : 1, text, strlen(text));
}

static const struct lp_operations operations = {.init = init, .term = quiet, .hold = quiet, .restart = restart};
static const struct lp_entry entries[] = {{"line", line}, {"command", command}};
LIVEPATCH_MODULE("lines", VERSION, SCHEMA, operations, entries);
