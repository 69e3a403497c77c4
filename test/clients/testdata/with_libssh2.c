/*
 * A client of dnsgate with libssh2: GATE PORT KEY KNOWN_HOSTS WORD...
 *
 * cc -o with_libssh2 with_libssh2.c -lssh2
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libssh2.h>

static LIBSSH2_SESSION *session;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(255);
}

static void fail(const char *what)
{
	char *why = "";

	libssh2_session_last_error(session, &why, NULL, 0);
	die(what, why);
}

static int dial(const char *gate, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	int fd = -1;

	if (getaddrinfo(gate, port, &hints, &found) != 0)
		die(gate, "not found");
	for (a = found; a != NULL; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			return fd;
		close(fd);
	}
	die(gate, "no connection");
	return -1;
}

static void check_host_key(const char *gate, const char *port, const char *file)
{
	LIBSSH2_KNOWNHOSTS *known = libssh2_knownhost_init(session);
	size_t length;
	int type, kind = LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW;
	const char *key = libssh2_session_hostkey(session, &length, &type);

	if (known == NULL || key == NULL || libssh2_knownhost_readfile(known, file, LIBSSH2_KNOWNHOST_FILE_OPENSSH) < 0)
		fail(file);
	if (libssh2_knownhost_checkp(known, gate, atoi(port), key, length, kind, NULL) != LIBSSH2_KNOWNHOST_CHECK_MATCH)
		die(gate, "the host key is not the one in known_hosts");
	libssh2_knownhost_free(known);
}

static void copy(LIBSSH2_CHANNEL *channel, int stream, FILE *to)
{
	char buffer[4096];
	ssize_t n;

	while ((n = libssh2_channel_read_ex(channel, stream, buffer, sizeof buffer)) > 0)
		fwrite(buffer, 1, n, to);
	if (n < 0)
		fail("reading");
}

static int run(const char *command)
{
	LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(session);
	int status;

	if (channel == NULL || libssh2_channel_exec(channel, command) != 0)
		fail("running the command");
	libssh2_channel_send_eof(channel);
	copy(channel, 0, stdout);
	copy(channel, SSH_EXTENDED_DATA_STDERR, stderr);
	if (libssh2_channel_wait_closed(channel) != 0)
		fail("closing");
	status = libssh2_channel_get_exit_status(channel);
	libssh2_channel_free(channel);
	return status;
}

int main(int argc, char **argv)
{
	char command[4097] = "";
	int i, status;

	for (i = 5; i < argc; i++) {
		if (strlen(command) + 1 + strlen(argv[i]) >= sizeof command)
			return 64;
		strcat(strcat(command, i > 5 ? " " : ""), argv[i]);
	}
	if (argc < 6 || libssh2_init(0) != 0 || (session = libssh2_session_init()) == NULL)
		return 64;
	libssh2_session_set_timeout(session, 30000);
	if (libssh2_session_handshake(session, dial(argv[1], argv[2])) != 0)
		fail("connecting");
	check_host_key(argv[1], argv[2], argv[4]);
	if (libssh2_userauth_publickey_fromfile(session, "dnsgate", NULL, argv[3], NULL) != 0)
		fail("logging in");
	status = run(command);
	libssh2_session_disconnect(session, "done");
	libssh2_session_free(session);
	return status;
}
