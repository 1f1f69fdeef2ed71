#include "acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "log.h"
#include "timer.h"
#include "worker.h"

int acceptor_listen(const char *address, unsigned short port)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        die("socket");
    errno = EINVAL;
    if (inet_aton(address, &local.sin_addr) == 0)
        die(address);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&local, sizeof(local)) != 0 || listen(listener, SOMAXCONN) != 0)
        die("bind");
    return listener;
}

unsigned short acceptor_port(int listener)
{
    struct sockaddr_in local;
    socklen_t length = sizeof(local);
    if (getsockname(listener, (struct sockaddr *)&local, &length) != 0)
        die("getsockname");
    return ntohs(local.sin_port);
}

/* Round robin; a worker whose queue is full is passed over. */
static void hand_over(struct acceptor *acceptor, int socket)
{
    static unsigned turn;
    for (unsigned tries = 0; tries < acceptor->worker_count; tries++)
        if (worker_take(&acceptor->workers[turn++ % acceptor->worker_count], socket))
            return;
    close(socket);
    COUNT(refused);
}

static void accept_all(struct acceptor *acceptor)
{
    int on = 1;
    for (;;) {
        int socket = accept4(acceptor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            hand_over(acceptor, socket);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            log_failure("accept4");
            return;
        }
    }
}

static void *run(void *argument)
{
    struct acceptor *acceptor = argument;
    struct pollfd sources[] = {
        {.fd = acceptor->stop, .events = POLLIN},
        {.fd = acceptor->listener, .events = POLLIN},
        {.fd = acceptor->tick, .events = POLLIN},
    };
    counters_join();
    for (;;) {
        if (poll(sources, 3, -1) < 0)
            continue;
        if (sources[0].revents != 0)
            break;
        if (sources[1].revents & POLLIN)
            accept_all(acceptor);
        if (sources[2].revents & POLLIN) {
            timer_read(acceptor->tick);
            counters_log();
        }
    }
    counters_leave();
    return NULL;
}

void acceptor_start(struct acceptor *acceptor, int listener, int statistics_ms)
{
    acceptor->listener = listener;
    acceptor->tick = timer_open(statistics_ms);
    if (pthread_create(&acceptor->thread, NULL, run, acceptor) != 0)
        die("pthread_create");
    pthread_setname_np(acceptor->thread, "acceptor");
}

void acceptor_join(struct acceptor *acceptor)
{
    pthread_join(acceptor->thread, NULL);
    close(acceptor->tick);
    close(acceptor->listener);
}
