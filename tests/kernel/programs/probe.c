/* probe NAME: asks the kernel for something that a security fix made it refuse; prints `accepted`, or the name of the error. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* linux/in6.h has them, and cannot be used beside netinet/in.h. */
#define FLOWLABEL_MGR 32
#define FLOWLABEL_GET 0
#define FLOWLABEL_CREATE 1
#define FLOWLABEL_ANY 255

struct flowlabel {
	struct in6_addr destination;
	uint32_t label;
	uint8_t action, share;
	uint16_t flags, expires, linger;
	uint32_t pad;
};

/* An unprivileged socket takes the same label over and over: 32 leases are the limit of one socket. */
static int flowlabel(void)
{
	struct flowlabel wanted = { .destination = IN6ADDR_LOOPBACK_INIT, .label = htonl(0x1234), .action = FLOWLABEL_GET,
				    .share = FLOWLABEL_ANY, .flags = FLOWLABEL_CREATE };
	int from = socket(AF_INET6, SOCK_DGRAM, 0);

	if (from < 0 || setuid(65534))
		return -1;
	for (int i = 0; i < 64; i++)
		if (setsockopt(from, IPPROTO_IPV6, FLOWLABEL_MGR, &wanted, sizeof(wanted)))
			return -1;
	return 0;
}

/* A ring of buffers that ends beyond the end of all addresses. */
static int ring(void)
{
	struct io_uring_params parameters = { 0 };
	struct { uint64_t address; uint32_t entries; uint16_t group, pad; uint64_t more[3]; } wanted = { -4096UL, 512, 0, 0, { 0 } };
	int ring = syscall(SYS_io_uring_setup, 4, &parameters);

	return ring < 0 ? -1 : (int)syscall(SYS_io_uring_register, ring, 22 /* IORING_REGISTER_PBUF_RING */, &wanted, 1);
}

/* A file without a name in a file system of a user namespace in which its owner has no number. */
static int tmpfile_unmapped(void)
{
	mkdir("/tmp/unmapped", 0777);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount("none", "/tmp/unmapped", "tmpfs", 0, NULL))
		return -1;
	return open("/tmp/unmapped", O_TMPFILE | O_RDWR, 0600) < 0 ? -1 : 0;
}

/* A time namespace with an offset of -5 nanoseconds, written as the unsigned number that slips through. */
static int time_offset(void)
{
	static const char offset[] = "monotonic 1 18446744073709551611\n";
	int to;

	if (unshare(CLONE_NEWTIME))
		return -1;
	to = open("/proc/self/timens_offsets", O_WRONLY);
	return write(to, offset, strlen(offset)) < 0 ? -1 : 0;
}

struct request {
	struct nlmsghdr header;
	struct tcmsg message;
	char attributes[512];
};

static struct rtattr *add(struct request *request, int type, const void *data, size_t length)
{
	struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(length);
	if (length)
		memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
	return attribute;
}

/* Sends a request; the answer's error becomes errno. */
static int send_request(int to, struct request *request)
{
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[1024]; } answer;

	if (send(to, request, request->header.nlmsg_len, 0) < 0 || recv(to, &answer, sizeof(answer), 0) < 0)
		return -1;
	errno = -answer.error.error;
	return errno ? -1 : 0;
}

static struct request begin(int type, uint32_t parent)
{
	return (struct request) {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct tcmsg)), .nlmsg_type = type,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (type == RTM_DELQDISC ? 0 : NLM_F_CREATE | NLM_F_EXCL) },
		.message = { .tcm_family = AF_UNSPEC, .tcm_ifindex = 1, .tcm_parent = parent },
	};
}

/* A filter that would shift a number of 16 bits by 16. */
static int u32_filter(void)
{
	int to = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), result, error;
	struct tc_u32_sel selector = { .offshift = 16 };
	struct request request = begin(RTM_NEWQDISC, TC_H_INGRESS);
	struct rtattr *options;

	request.message.tcm_handle = 0xffff0000;
	add(&request, TCA_KIND, "ingress", sizeof("ingress"));
	if (send_request(to, &request))
		return -1;
	request = begin(RTM_NEWTFILTER, 0xffff0000);
	request.message.tcm_info = 1 << 16 | htons(ETH_P_ALL);
	add(&request, TCA_KIND, "u32", sizeof("u32"));
	options = add(&request, TCA_OPTIONS, NULL, 0);
	add(&request, TCA_U32_CLASSID, &(uint32_t) { 1 }, sizeof(uint32_t));
	add(&request, TCA_U32_SEL, &selector, sizeof(selector));
	options->rta_len = (char *)&request + request.header.nlmsg_len - (char *)options;
	result = send_request(to, &request);
	error = errno;
	request = begin(RTM_DELQDISC, TC_H_INGRESS);
	request.message.tcm_handle = 0xffff0000;
	if (send_request(to, &request))
		return -1;
	errno = error;
	return result;
}

int main(int count, char **arguments)
{
	static const struct { const char *name; int (*ask)(void); } probes[] = {
		{ "flowlabel", flowlabel }, { "ring", ring }, { "tmpfile", tmpfile_unmapped }, { "time", time_offset },
		{ "u32", u32_filter },
	};

	for (size_t i = 0; count > 1 && i < sizeof(probes) / sizeof(*probes); i++)
		if (!strcmp(arguments[1], probes[i].name)) {
			puts(probes[i].ask() ? strerrorname_np(errno) : "accepted");
			return 0;
		}
	fprintf(stderr, "probe: no such probe\n");
	return 2;
}
