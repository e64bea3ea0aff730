/* The least that callouts can cost: a client that asks and does not look, as the measure for everything else.
 *
 *     client sequential|pipelined|reuse PORT FIRST-HOST HOSTS CALLOUTS AT-ONCE
 *
 * Callout n asks for <u{n}@d{h}.example> at the host h = n modulo HOSTS, whose address is FIRST-HOST plus h. With
 * `sequential` each has a connection of its own and waits for every reply; `pipelined` sends MAIL, RCPT and QUIT
 * together; `reuse` asks 50 over one connection, RSET, MAIL and RCPT of each together (RFC 2920). Replies are counted,
 * and nothing is kept of them. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_CONNECTION 50
#define EVENTS 512

enum mode { SEQUENTIAL, PIPELINED, REUSE };

struct conversation {
	int fd;
	long host, callout; /* the next address to ask for */
	int left;           /* addresses that are not asked yet */
	int step;           /* commands, or groups of them, sent so far */
	int awaited;        /* replies that have to come before the next */
	int column;         /* in the line that is being read */
	bool last, refused; /* is it the last line of its reply; did any reply not begin with a 2 */
};

static enum mode mode;
static int epoll_fd, at_once = 0;
static uint32_t first_host;
static uint16_t port;
static long host_count, callouts, begun = 0, connections = 0, failed = 0;

static void die(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void begin(void)
{
	struct conversation *conversation = calloc(1, sizeof *conversation);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conversation};
	int yes = 1, per_connection = mode == REUSE ? PER_CONNECTION : 1;
	if (conversation == NULL)
		die("calloc");
	conversation->host = connections++ % host_count;
	conversation->callout = begun;
	conversation->left = (int)(callouts - begun < per_connection ? callouts - begun : per_connection);
	conversation->awaited = 1; /* the greeting */
	begun += conversation->left;
	at_once++;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(first_host + (uint32_t)conversation->host)};
	conversation->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(conversation->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (connect(conversation->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conversation->fd, &event) < 0)
		die("epoll_ctl");
}

static void end(struct conversation *conversation, bool done)
{
	failed += !done || conversation->refused;
	close(conversation->fd);
	free(conversation);
	at_once--;
}

/* Send what comes next; false when nothing does. */
static bool go_on(struct conversation *conversation)
{
	char text[256];
	int size = 0, step = conversation->step++;
	const char *mail = "MAIL FROM:<>\r\n";
	char rcpt[96];
	snprintf(rcpt, sizeof rcpt, "RCPT TO:<u%ld@d%ld.example>\r\n", conversation->callout, conversation->host);
	conversation->awaited = 1;
	if (step == 0) {
		size = snprintf(text, sizeof text, "EHLO probe.example.net\r\n");
	} else if (mode == SEQUENTIAL) {
		const char *commands[] = {mail, rcpt, "QUIT\r\n"};
		if (step > 3)
			return false;
		size = snprintf(text, sizeof text, "%s", commands[step - 1]);
	} else if (mode == PIPELINED) {
		if (step > 1)
			return false;
		conversation->awaited = 3;
		size = snprintf(text, sizeof text, "%s%sQUIT\r\n", mail, rcpt);
	} else if (conversation->left > 0) {
		conversation->awaited = step == 1 ? 2 : 3;
		size = snprintf(text, sizeof text, "%s%s%s", step == 1 ? "" : "RSET\r\n", mail, rcpt);
		conversation->callout++;
		conversation->left--;
	} else {
		if (conversation->left-- < 0)
			return false;
		size = snprintf(text, sizeof text, "QUIT\r\n");
	}
	if (send(conversation->fd, text, (size_t)size, MSG_NOSIGNAL) != size)
		conversation->refused = true;
	return true;
}

/* Count the replies in these octets: a line whose fourth one is no hyphen ends one. */
static void read_lines(struct conversation *conversation, const char *data, ssize_t size)
{
	for (ssize_t at = 0; at < size; at++) {
		if (data[at] == '\n') {
			conversation->column = 0;
			conversation->awaited -= conversation->last;
			continue;
		}
		if (conversation->column == 0)
			conversation->refused |= data[at] != '2';
		if (conversation->column == 3)
			conversation->last = data[at] != '-';
		conversation->column++;
	}
}

static void readable(struct conversation *conversation)
{
	char data[4096];
	ssize_t size = recv(conversation->fd, data, sizeof data, 0);
	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0) {
		end(conversation, false);
		return;
	}
	read_lines(conversation, data, size);
	if (conversation->awaited <= 0 && !go_on(conversation))
		end(conversation, true);
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int count, char **words)
{
	static const char *const modes[] = {"sequential", "pipelined", "reuse"};
	struct epoll_event events[EVENTS];
	struct timespec started, ended;
	struct rusage used;
	struct rlimit files;
	struct in_addr first;
	int limit, known = 0;
	if (count == 7)
		while (known < 3 && strcmp(words[1], modes[known]) != 0)
			known++;
	if (count != 7 || known == 3 || inet_pton(AF_INET, words[3], &first) != 1) {
		fprintf(stderr, "client: sequential|pipelined|reuse PORT FIRST-HOST HOSTS CALLOUTS AT-ONCE\n");
		return 2;
	}
	mode = (enum mode)known;
	port = (uint16_t)atoi(words[2]);
	first_host = ntohl(first.s_addr);
	host_count = atol(words[4]);
	callouts = atol(words[5]);
	limit = atoi(words[6]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll_fd = epoll_create1(0);
	clock_gettime(CLOCK_MONOTONIC, &started);
	while (begun < callouts || at_once > 0) {
		while (begun < callouts && at_once < limit)
			begin();
		int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
		for (int at = 0; at < ready; at++)
			readable(events[at].data.ptr);
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	getrusage(RUSAGE_SELF, &used);
	printf("{\"callouts\":%ld,\"connections\":%ld,\"failed\":%ld,\"user\":%.6f,\"system\":%.6f,\"wall\":%.6f}\n", callouts,
	       connections, failed, seconds(used.ru_utime), seconds(used.ru_stime),
	       (double)(ended.tv_sec - started.tv_sec) + (double)(ended.tv_nsec - started.tv_nsec) / 1e9);
	return failed > 0;
}
