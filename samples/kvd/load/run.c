#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

#define ANSWER_TIMEOUT_US 5000000
#define EVENTS 64

/* Written by one thread each; the main thread reads `requests` meanwhile. */
struct figures {
    unsigned long requests; /* answered, rightly */
    unsigned long failures;
    unsigned long exercised[BUGS];
    int64_t latency_sum;
    int64_t latency_max;
};

struct client {
    int socket; /* -1 after a failure */
    int64_t asked;
    bool waiting;
    struct script script;
    size_t reply_length;
    char reply[REPLY_SIZE];
};

struct crew {
    pthread_t thread;
    int epoll;
    struct client *clients;
    unsigned client_count;
    struct figures figures;
};

static bool ending;

static void fail(struct crew *crew, struct client *client, const char *why)
{
    crew->figures.failures++;
    fprintf(stderr, "load: %s after `%.*s`\n", why, (int)strcspn(client->script.request, "\r\n"),
            client->script.request);
    if (client->reply_length > 0)
        fprintf(stderr, "load: the answer was `%.*s`\n", (int)strcspn(client->reply, "\r\n"), client->reply);
    close(client->socket);
    client->socket = -1;
    client->waiting = false;
}

static void ask(struct crew *crew, struct client *client)
{
    script_next(&client->script);
    size_t length = (size_t)client->script.request_length;
    client->reply_length = 0;
    client->waiting = true;
    client->asked = clock_us();
    if (send(client->socket, client->script.request, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail(crew, client, "the connection broke");
}

static void count_answer(struct figures *figures, const struct client *client)
{
    int64_t latency = clock_us() - client->asked;
    figures->latency_sum += latency;
    if (latency > figures->latency_max)
        figures->latency_max = latency;
    for (enum bug bug = 0; bug < BUGS; bug++)
        if (script_exercises(&client->script, bug))
            figures->exercised[bug]++;
    __atomic_fetch_add(&figures->requests, 1, __ATOMIC_RELAXED);
}

static void receive(struct crew *crew, struct client *client)
{
    ssize_t got = recv(client->socket, client->reply + client->reply_length,
                       REPLY_SIZE - 1 - client->reply_length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        fail(crew, client, got == 0 ? "the server closed the connection" : strerror(errno));
        return;
    }
    client->reply_length += (size_t)got;
    client->reply[client->reply_length] = '\0';
    size_t whole = client_reply_length(client->reply, client->reply_length);
    if (whole == 0)
        return;
    client->waiting = false;
    if (whole != client->reply_length || !script_accepts(&client->script, client->reply, whole)) {
        fail(crew, client, "wrong answer");
        return;
    }
    count_answer(&crew->figures, client);
    if (!__atomic_load_n(&ending, __ATOMIC_RELAXED))
        ask(crew, client);
}

/* Counts those that wait for too long as failures; tells whether any still waits. */
static bool check_waiting(struct crew *crew)
{
    bool any = false;
    for (unsigned i = 0; i < crew->client_count; i++) {
        struct client *client = &crew->clients[i];
        if (client->waiting && clock_us() - client->asked > ANSWER_TIMEOUT_US)
            fail(crew, client, "no answer in time");
        any |= client->waiting;
    }
    return any;
}

static void *run_crew(void *argument)
{
    struct crew *crew = argument;
    struct epoll_event events[EVENTS];
    int64_t next_check = 0;
    for (unsigned i = 0; i < crew->client_count; i++)
        ask(crew, &crew->clients[i]);
    for (;;) {
        int count = epoll_wait(crew->epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++)
            receive(crew, events[i].data.ptr);
        if (clock_us() < next_check)
            continue;
        next_check = clock_us() + 20000;
        if (!check_waiting(crew))
            return NULL; /* the end, or no connection is left */
    }
}

static bool open_crew(struct crew *crew, const struct server *server, unsigned first, unsigned count)
{
    *crew = (struct crew){.epoll = epoll_create1(EPOLL_CLOEXEC), .client_count = count};
    crew->clients = calloc(count, sizeof(struct client));
    if (crew->epoll < 0 || crew->clients == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct client *client = &crew->clients[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        script_begin(&client->script, server->token, first + i);
        client->socket = client_connect(server);
        if (client->socket < 0 || epoll_ctl(crew->epoll, EPOLL_CTL_ADD, client->socket, &event) != 0)
            return false;
    }
    return true;
}

static unsigned long requests_so_far(const struct crew *crews, unsigned count)
{
    unsigned long requests = 0;
    for (unsigned i = 0; i < count; i++)
        requests += __atomic_load_n(&crews[i].figures.requests, __ATOMIC_RELAXED);
    return requests;
}

/* Of threads that have ended. */
static struct figures sum(const struct crew *crews, unsigned count)
{
    struct figures total = {0};
    for (unsigned i = 0; i < count; i++) {
        const struct figures *figures = &crews[i].figures;
        total.requests += figures->requests;
        total.failures += figures->failures;
        total.latency_sum += figures->latency_sum;
        if (figures->latency_max > total.latency_max)
            total.latency_max = figures->latency_max;
        for (enum bug bug = 0; bug < BUGS; bug++)
            total.exercised[bug] += figures->exercised[bug];
    }
    return total;
}

/* Sleeps until the end of the load; tells the requests of the slowest whole second. */
static unsigned long watch(const struct crew *crews, const struct run_options *options, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    unsigned long before = 0, lowest = 0;
    for (unsigned seconds = 1; options->seconds == 0 || seconds <= options->seconds; seconds++) {
        if (sigtimedwait(signals, NULL, &second) > 0)
            break;
        unsigned long now = requests_so_far(crews, options->threads);
        if (seconds == 1 || now - before < lowest)
            lowest = now - before;
        before = now;
    }
    return lowest;
}

static int report(const struct figures *total, double seconds, unsigned long lowest, unsigned min_rate)
{
    double rate = (double)total->requests / seconds;
    printf("requests %lu\n", total->requests);
    printf("failures %lu\n", total->failures);
    printf("seconds %.2f\n", seconds);
    printf("rate %.0f\n", rate);
    printf("rate_of_lowest_second %lu\n", lowest);
    printf("latency_mean_us %.0f\n", total->requests ? (double)total->latency_sum / (double)total->requests : 0.0);
    printf("latency_max_us %lld\n", (long long)total->latency_max);
    for (enum bug bug = 0; bug < BUGS; bug++)
        printf("exercised_%s %lu\n", bug_names[bug], total->exercised[bug]);
    if (total->failures > 0)
        fprintf(stderr, "load: %lu requests failed\n", total->failures);
    if (rate < min_rate)
        fprintf(stderr, "load: the rate of %.0f requests a second is below the minimum of %u\n", rate, min_rate);
    return total->failures > 0 || rate < min_rate ? EXIT_FAILURE : EXIT_SUCCESS;
}

int run_load(const struct server *server, const struct run_options *options)
{
    struct crew *crews = calloc(options->threads, sizeof(*crews));
    if (crews == NULL)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < options->threads; i++) {
        unsigned first = options->connections * i / options->threads;
        unsigned end = options->connections * (i + 1) / options->threads;
        if (!open_crew(&crews[i], server, first, end - first)) {
            fprintf(stderr, "load: cannot connect to %s:%hu: %s\n", server->address, server->port, strerror(errno));
            return EXIT_FAILURE;
        }
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* inherited by the threads */

    int64_t begin = clock_us();
    for (unsigned i = 0; i < options->threads; i++) {
        if (pthread_create(&crews[i].thread, NULL, run_crew, &crews[i]) != 0) {
            fprintf(stderr, "load: cannot start a thread\n");
            return EXIT_FAILURE;
        }
    }
    unsigned long lowest = watch(crews, options, &signals);
    __atomic_store_n(&ending, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < options->threads; i++)
        pthread_join(crews[i].thread, NULL);
    double seconds = (double)(clock_us() - begin) / 1e6;
    struct figures total = sum(crews, options->threads);
    for (unsigned i = 0; i < options->threads; i++) {
        for (unsigned j = 0; j < crews[i].client_count; j++)
            if (crews[i].clients[j].socket >= 0)
                close(crews[i].clients[j].socket);
        close(crews[i].epoll);
        free(crews[i].clients);
    }
    free(crews);
    return report(&total, seconds, lowest, options->min_rate);
}
