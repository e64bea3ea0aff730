/* A mail sink that counts: the other side of the benchmarks of `probe-sender batch`, and of its tests.
 *
 *     sink [--port N] [--plain] [--mute] [--delay MS] [--slow MS] [--busy N/S]
 *
 * It listens on all of 127.0.0.0/8, so that every 127.x.y.z is a mail host of its own, on one port (a free one for
 * 0). Its first line on standard output is that port and a second one, on 127.0.0.1: who connects to the second is
 * told the counts, in JSON Lines, one of each host and then a total. It ends when its standard input does.
 *
 *     --plain     offer no extension to EHLO
 *     --mute      never greet
 *     --delay MS  greet, and answer what one packet brought, that much later
 *     --slow MS   how late RCPT is answered for a local part beginning with "slow" (5000)
 *     --busy N/S  greet with 421, and close, the Nth and every further connection to a host within S seconds
 *
 * A local part beginning with "missing" is refused with 550, "later" with 450, "busy" with 421 and a close. There is
 * one thread, one epoll set, and no wait but in it: a few times the speed of what it measures.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE 2048      /* a longer command is cut (RFC 5321 4.5.3.1.4 allows 512 octets, extensions more) */
#define READ 65536     /* what one read takes */
#define EVENTS 512     /* what one epoll_wait reports */

static int busy_count = 0, epoll_fd, control_fd, listen_fd;
static double busy_seconds = 0, delay = 0, slow = 5.0;
static bool plain = false, mute = false;

static void die(const char *what)
{
	fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (memory == NULL)
		die("calloc");
	return memory;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- Mail hosts: what is counted of each address that was connected to. ---- */

struct host {
	uint32_t ip; /* network order */
	long connections, open, most_open, rcpts, most_rcpts, without_quit, early, data, turned_away;
	double least_gap, last; /* seconds; the gap is infinite until the second connection */
	double *starts;         /* of the last `busy_count` connections, a ring */
};

static struct host **hosts; /* by address: open addressing, at most half full */
static size_t places = 1024, known = 0;
static long open_now = 0, most_open = 0;

static struct host **place_of(uint32_t ip)
{
	size_t at = (ntohl(ip) * 2654435761u) & (places - 1);
	while (hosts[at] != NULL && hosts[at]->ip != ip)
		at = (at + 1) & (places - 1);
	return &hosts[at];
}

static void make_room(void)
{
	struct host **old = hosts;
	size_t count = places;
	places *= 2;
	hosts = allocate(places, sizeof *hosts);
	for (size_t at = 0; at < count; at++)
		if (old[at] != NULL)
			*place_of(old[at]->ip) = old[at];
	free(old);
}

static struct host *host_at(uint32_t ip)
{
	struct host **place = place_of(ip);
	if (*place != NULL)
		return *place;
	if (++known > places / 2) {
		make_room();
		place = place_of(ip);
	}
	*place = allocate(1, sizeof **place);
	(*place)->ip = ip;
	(*place)->least_gap = INFINITY;
	if (busy_count)
		(*place)->starts = allocate((size_t)busy_count, sizeof(double));
	return *place;
}

/* Count a new connection; true when the host is too busy for it. */
static bool count_connection(struct host *host, double time)
{
	if (host->connections++ && time - host->last < host->least_gap)
		host->least_gap = time - host->last;
	host->last = time;
	if (++host->open > host->most_open)
		host->most_open = host->open;
	if (++open_now > most_open)
		most_open = open_now;
	if (busy_count == 0)
		return false;
	/* The next slot of the ring holds the start that is the first of these N. */
	host->starts[host->connections % busy_count] = time;
	return host->connections >= busy_count &&
	       time - host->starts[(host->connections + 1) % busy_count] <= busy_seconds;
}

/* ---- Connections. ---- */

struct connection {
	int fd; /* -1 when closed, while a timer still points here */
	struct host *host;
	bool greeted, mail, quit, closing, timed;
	long rcpts;
	size_t used, waiting; /* octets in `line`, and in `out` */
	char *out;            /* what the peer or a timer keeps us from sending; NULL mostly */
	char line[LINE];      /* the command that is not complete yet */
};

struct timer {
	double due;
	struct connection *connection;
};

static struct timer *timers; /* a binary heap, the earliest first */
static size_t timer_count = 0, timer_room = 0;

static void arm(struct connection *connection, double due)
{
	size_t at = timer_count++;
	if (timer_count > timer_room) {
		timer_room = timer_room ? timer_room * 2 : 1024;
		timers = realloc(timers, timer_room * sizeof *timers);
		if (timers == NULL)
			die("realloc");
	}
	for (; at > 0 && timers[(at - 1) / 2].due > due; at = (at - 1) / 2)
		timers[at] = timers[(at - 1) / 2];
	timers[at] = (struct timer){due, connection};
	connection->timed = true;
}

static struct connection *disarm_first(void)
{
	struct connection *first = timers[0].connection;
	struct timer last = timers[--timer_count];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < timer_count; at = child) {
		if (child + 1 < timer_count && timers[child + 1].due < timers[child].due)
			child++;
		if (last.due <= timers[child].due)
			break;
		timers[at] = timers[child];
	}
	timers[at] = last;
	first->timed = false;
	return first;
}

static void drop(struct connection *connection)
{
	struct host *host = connection->host;
	if (connection->fd >= 0) {
		close(connection->fd);
		connection->fd = -1;
		host->open--;
		open_now--;
		/* Whom we turned away had no occasion to say QUIT. */
		if (!connection->quit && !connection->closing)
			host->without_quit++;
		free(connection->out);
	}
	if (!connection->timed)
		free(connection);
}

/* ---- Replies: collected while commands are read, then sent at once. ---- */

static char reply[READ * 16]; /* what goes beyond is left out: only 64 KiB of empty lines would bring as much */
static size_t reply_size;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	int size = vsnprintf(reply + reply_size, sizeof reply - reply_size, format, values);
	va_end(values);
	if (size > 0 && reply_size + (size_t)size < sizeof reply)
		reply_size += (size_t)size;
}

static void keep(struct connection *connection, const char *text, size_t size)
{
	connection->out = realloc(connection->out, connection->waiting + size);
	if (connection->out == NULL)
		die("realloc");
	memcpy(connection->out + connection->waiting, text, size);
	connection->waiting += size;
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};
	if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0)
		die("epoll_ctl");
}

/* Send; what the peer does not take now is kept until it does. False when the connection is gone. */
static bool transmit(struct connection *connection, const char *text, size_t size)
{
	ssize_t sent = send(connection->fd, text, size, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		drop(connection);
		return false;
	}
	if (sent < (ssize_t)size) {
		keep(connection, text + (sent > 0 ? sent : 0), size - (size_t)(sent > 0 ? sent : 0));
		watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	} else if (connection->closing || connection->quit) {
		drop(connection);
		return false;
	}
	return true;
}

/* Send what was collected, `wait` seconds later. */
static void answer(struct connection *connection, double wait)
{
	size_t size = reply_size;
	reply_size = 0;
	if (size == 0)
		return;
	if (wait > 0 && !connection->timed)
		arm(connection, now() + wait);
	if (connection->timed || connection->waiting)
		keep(connection, reply, size);
	else
		transmit(connection, reply, size);
}

/* Send what was kept: its time has come, or the peer takes more. */
static void resume(struct connection *connection)
{
	char *text = connection->out;
	size_t size = connection->waiting;
	connection->out = NULL;
	connection->waiting = 0;
	watch(connection, EPOLL_CTL_MOD, EPOLLIN);
	connection->greeted = true;
	transmit(connection, text, size);
	free(text);
}

/* ---- Commands (RFC 5321 4.1). ---- */

static bool begins(const char *text, const char *word)
{
	return strncasecmp(text, word, strlen(word)) == 0;
}

/* Answer RCPT as the local part asks for; gives the seconds that it takes. */
static double recipient(struct connection *connection, const char *line)
{
	const char *path = strchr(line, '<');
	const char *local = path == NULL ? line : path + 1;
	connection->host->rcpts++;
	if (++connection->rcpts > connection->host->most_rcpts)
		connection->host->most_rcpts = connection->rcpts;
	if (!connection->mail)
		say("503 5.5.1 Error: need MAIL command\r\n");
	else if (begins(local, "missing"))
		say("550 5.1.1 %s: user unknown\r\n", path == NULL ? "" : path);
	else if (begins(local, "later"))
		say("450 4.2.0 %s: come back later\r\n", path == NULL ? "" : path);
	else if (begins(local, "busy")) {
		say("421 4.7.0 sink.example Too many recipients, closing\r\n");
		connection->closing = true;
	} else
		say("250 2.1.5 Ok\r\n");
	return begins(local, "slow") ? slow : 0;
}

/* Answer one command; gives the seconds that the answer takes. */
static double command(struct connection *connection, const char *line)
{
	if (begins(line, "RCPT TO:"))
		return recipient(connection, line);
	if (begins(line, "MAIL FROM:")) {
		say(connection->mail ? "503 5.5.1 Error: nested MAIL command\r\n" : "250 2.1.0 Ok\r\n");
		connection->mail = true;
	} else if (begins(line, "RSET")) {
		connection->mail = false;
		say("250 2.0.0 Ok\r\n");
	} else if (begins(line, "EHLO") && !plain) {
		say("250-sink.example\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250 ENHANCEDSTATUSCODES\r\n");
	} else if (begins(line, "EHLO") || begins(line, "HELO")) {
		say("250 sink.example\r\n");
	} else if (begins(line, "QUIT")) {
		connection->quit = true;
		say("221 2.0.0 Bye\r\n");
	} else if (begins(line, "NOOP")) {
		say("250 2.0.0 Ok\r\n");
	} else if (begins(line, "DATA") || begins(line, "BDAT")) {
		connection->host->data++;
		say("554 5.5.0 Error: this host takes no mail\r\n");
	} else {
		say("500 5.5.2 Error: command not recognized\r\n");
	}
	return 0;
}

/* Take octets as they come: several commands, or a part of one. */
static void take(struct connection *connection, const char *data, size_t size)
{
	double wait = delay;
	while (size > 0 && !connection->quit && !connection->closing) {
		const char *end = memchr(data, '\n', size);
		size_t length = end == NULL ? size : (size_t)(end - data);
		size_t room = LINE - 1 - connection->used;
		size_t taken = length < room ? length : room;
		memcpy(connection->line + connection->used, data, taken);
		connection->used += taken;
		if (end == NULL)
			break;
		if (connection->used > 0 && connection->line[connection->used - 1] == '\r')
			connection->used--;
		connection->line[connection->used] = '\0';
		connection->used = 0;
		wait = fmax(wait, command(connection, connection->line));
		size -= length + 1;
		data = end + 1;
	}
	answer(connection, wait);
}

static void readable(struct connection *connection)
{
	static char data[READ];
	ssize_t size = recv(connection->fd, data, sizeof data, 0);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		drop(connection);
	} else if (mute) {
		connection->host->early++;
	} else {
		if (!connection->greeted)
			connection->host->early++;
		take(connection, data, (size_t)size);
	}
}

/* ---- The loop. ---- */

static int listener(uint32_t ip, int port, int *bound)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(ip)};
	socklen_t size = sizeof address;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0)
		die("the port cannot be used");
	getsockname(fd, (struct sockaddr *)&address, &size);
	*bound = ntohs(address.sin_port);
	return fd;
}

static void accept_all(void)
{
	int fd, yes = 1;
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct sockaddr_in local;
		socklen_t size = sizeof local;
		if (getsockname(fd, (struct sockaddr *)&local, &size) < 0) {
			close(fd); /* it was reset meanwhile */
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		struct connection *connection = allocate(1, sizeof *connection);
		connection->fd = fd;
		connection->host = host_at(local.sin_addr.s_addr);
		watch(connection, EPOLL_CTL_ADD, EPOLLIN);
		if (count_connection(connection->host, now())) {
			connection->host->turned_away++;
			connection->closing = true;
			say("421 4.7.0 sink.example Error: too many connections\r\n");
		} else if (!mute) {
			say("220 sink.example ESMTP\r\n");
		}
		connection->greeted = delay == 0 && !mute;
		answer(connection, delay);
	}
	if (errno == EMFILE || errno == ENFILE)
		die("accept");
}

static void describe(FILE *to, const struct host *host, const char *name)
{
	fprintf(to, "{\"host\":%s,\"connections\":%ld,\"open\":%ld,\"at_once\":%ld,\"gap_ms\":", name, host->connections,
		host->open, host->most_open);
	fprintf(to, isinf(host->least_gap) ? "null" : "%.1f", host->least_gap * 1000);
	fprintf(to,
		",\"rcpts\":%ld,\"rcpts_per_connection\":%ld,\"without_quit\":%ld,\"early\":%ld,\"data\":%ld,"
		"\"turned_away\":%ld}\n",
		host->rcpts, host->most_rcpts, host->without_quit, host->early, host->data, host->turned_away);
}

static void report(FILE *to)
{
	struct host total = {.least_gap = INFINITY, .open = open_now, .most_open = most_open};
	for (size_t at = 0; at < places; at++) {
		const struct host *host = hosts[at];
		char ip[INET_ADDRSTRLEN], name[INET_ADDRSTRLEN + 2];
		if (host == NULL)
			continue;
		snprintf(name, sizeof name, "\"%s\"", inet_ntop(AF_INET, &host->ip, ip, sizeof ip));
		describe(to, host, name);
		total.connections += host->connections;
		total.rcpts += host->rcpts;
		total.without_quit += host->without_quit;
		total.early += host->early;
		total.data += host->data;
		total.turned_away += host->turned_away;
		total.least_gap = fmin(total.least_gap, host->least_gap);
		if (host->most_rcpts > total.most_rcpts)
			total.most_rcpts = host->most_rcpts;
	}
	describe(to, &total, "null");
}

static void tell_counts(void)
{
	int fd = accept4(control_fd, NULL, NULL, SOCK_CLOEXEC); /* it blocks: nothing is measured meanwhile */
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	if (to == NULL)
		return;
	report(to);
	fclose(to);
}

static void read_options(int count, char **words, int *port)
{
	static const struct option known_options[] = {
		{"port", required_argument, NULL, 'p'}, {"plain", no_argument, NULL, 'e'}, {"mute", no_argument, NULL, 'm'},
		{"delay", required_argument, NULL, 'd'}, {"slow", required_argument, NULL, 's'},
		{"busy", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};
	int option;
	while ((option = getopt_long(count, words, "", known_options, NULL)) != -1) {
		if (option == 'p')
			*port = atoi(optarg);
		else if (option == 'e')
			plain = true;
		else if (option == 'm')
			mute = true;
		else if (option == 'd')
			delay = atof(optarg) / 1000;
		else if (option == 's')
			slow = atof(optarg) / 1000;
		else if (option != 'b' || sscanf(optarg, "%d/%lf", &busy_count, &busy_seconds) != 2 || busy_count < 1) {
			fprintf(stderr, "sink: wrong options: see the head of sink.c\n");
			exit(2);
		}
	}
}

static void on_timers(void)
{
	while (timer_count > 0 && timers[0].due <= now()) {
		struct connection *connection = disarm_first();
		if (connection->fd < 0)
			drop(connection);
		else
			resume(connection);
	}
}

/* Milliseconds until the first timer, rounded up: rounded down, the last one would be a busy wait. */
static int until_timer(void)
{
	return timer_count == 0 ? -1 : (int)fmax(0, ceil((timers[0].due - now()) * 1000));
}

int main(int count, char **words)
{
	struct epoll_event events[EVENTS], add = {.events = EPOLLIN};
	struct rlimit files;
	int port = 0, control;
	read_options(count, words, &port);
	signal(SIGPIPE, SIG_IGN); /* who asks for the counts may go away */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	hosts = allocate(places, sizeof *hosts);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_fd = listener(INADDR_ANY, port, &port);
	control_fd = listener(INADDR_LOOPBACK, 0, &control);
	int ours[] = {listen_fd, control_fd, STDIN_FILENO};
	for (size_t at = 0; at < 3; at++) {
		add.data.ptr = &ours[at];
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ours[at], &add) < 0 && errno != EPERM) /* a file has no end to wait for */
			die("epoll_ctl");
	}
	printf("%d %d\n", port, control);
	fflush(stdout);
	for (;;) {
		int ready = epoll_wait(epoll_fd, events, EVENTS, until_timer());
		for (int at = 0; at < ready; at++) {
			void *what = events[at].data.ptr;
			struct connection *connection = what;
			char input[64];
			if (what == &ours[0])
				accept_all();
			else if (what == &ours[1])
				tell_counts();
			else if (what == &ours[2]) {
				if (read(STDIN_FILENO, input, sizeof input) <= 0)
					return 0;
			} else if (events[at].events & EPOLLOUT)
				resume(connection);
			else
				readable(connection);
		}
		on_timers();
	}
}
