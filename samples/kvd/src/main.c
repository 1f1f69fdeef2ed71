/* kvd: a key-value store for sessions, served over TCP. See ../README.md for the protocol. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "acceptor.h"
#include "auth.h"
#include "counters.h"
#include "log.h"
#include "reaper.h"
#include "store.h"
#include "worker.h"

#define MAX_WORKERS 1024

struct options {
    const char *address;
    const char *token;
    const char *port_file;
    int port;
    int workers;
    int idle_seconds;
    int expiry_ms;
    int statistics_seconds;
};

static const char usage_text[] =
    "usage: kvd [options]\n"
    "  -a, --address ADDRESS   listen there (default 127.0.0.1)\n"
    "  -p, --port PORT         and on this port (default 7117); 0 takes a free one\n"
    "  -f, --port-file FILE    write the port there once it is open\n"
    "  -w, --workers N         threads that serve clients (default 4)\n"
    "  -t, --token TOKEN       what trusted clients show (default: $KVD_TOKEN, then a built-in one)\n"
    "  -i, --idle SECONDS      close connections that are idle for so long (default 300)\n"
    "  -e, --expiry MS         period of the removal of expired keys (default 200)\n"
    "  -s, --statistics S      period of the statistics in the log (default 10)\n"
    "SIGTERM and SIGINT end the server, SIGUSR1 logs the statistics at once.\n";

static _Noreturn void usage(int status)
{
    fputs(usage_text, status == EXIT_SUCCESS ? stdout : stderr);
    exit(status);
}

static int number(const char *text, int least, int most)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "kvd: `%s` is not a number from %d to %d\n", text, least, most);
        exit(2);
    }
    return (int)value;
}

static struct options parse_options(int count, char **arguments)
{
    static const struct option long_options[] = {
        {"address", required_argument, NULL, 'a'}, {"port", required_argument, NULL, 'p'},
        {"port-file", required_argument, NULL, 'f'}, {"workers", required_argument, NULL, 'w'},
        {"token", required_argument, NULL, 't'},   {"idle", required_argument, NULL, 'i'},
        {"expiry", required_argument, NULL, 'e'},  {"statistics", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    struct options options = {
        .address = "127.0.0.1",
        .token = getenv("KVD_TOKEN"),
        .port = 7117,
        .workers = 4,
        .idle_seconds = 300,
        .expiry_ms = 200,
        .statistics_seconds = 10,
    };
    int option;
    while ((option = getopt_long(count, arguments, "a:p:f:w:t:i:e:s:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'a': options.address = optarg; break;
        case 'p': options.port = number(optarg, 0, 65535); break;
        case 'f': options.port_file = optarg; break;
        case 'w': options.workers = number(optarg, 1, MAX_WORKERS); break;
        case 't': options.token = optarg; break;
        case 'i': options.idle_seconds = number(optarg, 1, 86400); break;
        case 'e': options.expiry_ms = number(optarg, 1, 60000); break;
        case 's': options.statistics_seconds = number(optarg, 1, 86400); break;
        case 'h': usage(EXIT_SUCCESS);
        default: usage(2);
        }
    }
    if (optind != count)
        usage(2);
    if (options.token == NULL)
        options.token = "correct-horse-battery-staple";
    return options;
}

/* Renamed into place, so that a reader never sees half of it. */
static void write_port_file(const char *path, unsigned short port)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
        die(path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%hu\n", port) < 0 || fclose(file) != 0 || rename(temporary, path) != 0)
        die(path);
}

/* Signals are taken by this thread alone, when it asks for them. */
static void wait_for_end(const sigset_t *signals)
{
    int signal_number;
    while (sigwait(signals, &signal_number) != 0 || signal_number == SIGUSR1)
        counters_log();
    log_line("ending after signal %d", signal_number);
}

int main(int count, char **arguments)
{
    struct options options = parse_options(count, arguments);
    struct worker *workers = calloc((size_t)options.workers, sizeof(*workers));
    int stop = eventfd(0, EFD_CLOEXEC);
    if (workers == NULL || stop < 0)
        die("kvd");
    if (!auth_open(options.token)) {
        fprintf(stderr, "kvd: the token must have 1 to 250 bytes\n");
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* inherited by the threads */

    int listener = acceptor_listen(options.address, (unsigned short)options.port);
    unsigned short port = acceptor_port(listener);
    log_line("kvd %d listens on %s:%hu with %d workers", (int)getpid(), options.address, port, options.workers);

    struct reaper reaper;
    struct acceptor acceptor = {.stop = stop, .workers = workers, .worker_count = (unsigned)options.workers};
    store_open();
    for (int i = 0; i < options.workers; i++)
        worker_start(&workers[i], (unsigned)i, stop, options.idle_seconds);
    reaper_start(&reaper, options.expiry_ms, stop);
    acceptor_start(&acceptor, listener, options.statistics_seconds * 1000);
    if (options.port_file != NULL)
        write_port_file(options.port_file, port);

    wait_for_end(&signals);
    eventfd_write(stop, 1);
    acceptor_join(&acceptor);
    for (int i = 0; i < options.workers; i++)
        worker_join(&workers[i]);
    reaper_join(&reaper);
    counters_log();
    store_close();
    close(stop);
    free(workers);
    return EXIT_SUCCESS;
}
