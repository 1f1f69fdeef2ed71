/*
 * Two modules that talk (figure 2 of the ETRI paper): `ask` sends a number to `answer`, which sends back its square; then the
 * next one. If anything were lost on the way, the talk would end.
 *
 *     gcc -shared -fPIC -DASK -DNAME='"ask"' -DVERSION='"1.0.0"' -I livepatch-module/include talk.c -o libask_1.0.0.so
 *     gcc -shared -fPIC -DNAME='"answer"' -DVERSION='"1.0.0"' -I livepatch-module/include talk.c -o libanswer_1.0.0.so
 *
 * Commands: `listen PATH`; of `ask`: `begin PATH` of the other; `show`. -DFAIL_RESTART makes a version that fails, for the tests;
 * -DONE_WAY one whose data only its own kind can go on with.
 */
#include <inttypes.h>
#include <livepatch_module.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct talk {
    uint64_t said, wrong;
    char peer[96];
};

#ifdef ONE_WAY
#define SCHEMA LP_SCHEMA(2, struct talk)
#else
#define SCHEMA LP_SCHEMA(1, struct talk)
#endif

static lp_result init(const struct lp_host *host, void **to) {
    *to = host->alloc(host, sizeof(struct talk), 8);
    if (!*to)
        return LP_FAILED;
    memset(*to, 0, sizeof(struct talk));
    return LP_OK;
}

static lp_result quiet(const struct lp_host *host, void *data) {
    (void)host, (void)data;
    return LP_OK;
}

static lp_result restart(const struct lp_host *host, const void *data, uint32_t why) {
    (void)host, (void)data, (void)why;
#ifdef SLOW_RESTART
    for (uint64_t end = host->now(host) + 500000000; why == LP_UPGRADE && host->now(host) < end;) {
    }
#endif
#ifdef FAIL_RESTART
    if (why == LP_UPGRADE)
        return LP_FAILED;
#endif
    return LP_OK;
}

static lp_result migrate(const struct lp_host *host, uint64_t from, const void *old, void **to) {
    (void)from;
    lp_result result = init(host, to);
    if (result == LP_OK)
        memcpy(*to, old, sizeof(struct talk));
    return result;
}

static lp_result say(const struct lp_host *host, const char *path, uint64_t number) {
    uint64_t id;
    if (host->find(host, "talk", &id) != LP_OK)
        return LP_FAILED;
    return host->send_path(host, id, path, (const uint8_t *)&number, sizeof number);
}

static lp_result heard(const struct lp_host *host, void *data, const struct lp_event *event) {
    struct talk *talk = data;
    char path[96] = {0};
    uint64_t number;
    if (event->len != sizeof number || event->path_len >= sizeof path)
        return LP_FAILED;
    memcpy(&number, event->data, sizeof number);
    memcpy(path, event->path, event->path_len);
#ifdef ASK
    if (number != talk->said * talk->said)
        talk->wrong++;
    talk->said++;
    return say(host, talk->peer, talk->said);
#else
    talk->said++;
    return say(host, path, number * number);
#endif
}

static lp_result command(const struct lp_host *host, void *data, const struct lp_event *event) {
    struct talk *talk = data;
    char words[128] = {0}, text[128];
    bool good = event->len < sizeof words;
    if (good)
        memcpy(words, event->data, event->len);
    snprintf(text, sizeof text, "ok");
    if (good && !strncmp(words, "listen\n", 7)) {
        struct lp_socket socket = {
            .size = sizeof socket, .kind = LP_UNIX_DATAGRAM, .name = "talk", .entry = "heard", .path = words + 7};
        uint64_t id;
        good = host->open(host, &socket, &id) == LP_OK;
    } else if (good && !strncmp(words, "begin\n", 6)) {
        snprintf(talk->peer, sizeof talk->peer, "%.95s", words + 6);
        good = say(host, talk->peer, talk->said) == LP_OK;
    } else if (good && !strcmp(words, "show")) {
        snprintf(text, sizeof text, "%" PRIu64 " wrong %" PRIu64, talk->said, talk->wrong);
    } else {
        good = false;
    }
    return host->reply(host, event->source, good ? 0 : 1, text, strlen(text));
}

static const struct lp_operations operations = {
    .init = init,
    .term = quiet,
    .hold = quiet,
    .restart = restart,
    .migrate = migrate,
};

static const struct lp_entry entries[] = {
    {"heard", heard},
    {"command", command},
};

#ifdef ONE_WAY
LIVEPATCH_MODULE(NAME, VERSION, SCHEMA, operations, entries, LP_SCHEMA(1, struct talk));
#else
LIVEPATCH_MODULE(NAME, VERSION, SCHEMA, operations, entries);
#endif
