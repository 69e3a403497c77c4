/*
 * A client of dnsgate with libssh: GATE PORT KEY KNOWN_HOSTS WORD...
 * The KEY "agent" stands for the keys of ssh-agent.
 *
 * cc -o with_libssh with_libssh.c -lssh
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libssh/libssh.h>

static ssh_session session;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(255);
}

static void fail(const char *what) { die(what, ssh_get_error(session)); }

static void dial(const char *gate, const char *port, const char *known_hosts)
{
	int number = atoi(port), no = 0;
	long timeout = 10;

	ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
	ssh_options_set(session, SSH_OPTIONS_HOST, gate);
	ssh_options_set(session, SSH_OPTIONS_PORT, &number);
	ssh_options_set(session, SSH_OPTIONS_USER, "dnsgate");
	ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, known_hosts);
	ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
	ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &timeout);
	if (ssh_connect(session) != SSH_OK)
		fail("connecting");
	if (ssh_session_is_known_server(session) != SSH_KNOWN_HOSTS_OK)
		die(gate, "the host key is not the one in known_hosts");
}

static void login(const char *file)
{
	ssh_key key;

	/* with the answer to this comes, at the latest, which RSA signatures the gateway takes */
	ssh_userauth_none(session, NULL);
	if (strcmp(file, "agent") == 0) {
		if (ssh_userauth_agent(session, NULL) != SSH_AUTH_SUCCESS)
			fail("logging in");
		return;
	}
	if (ssh_pki_import_privkey_file(file, NULL, NULL, NULL, &key) != SSH_OK)
		die(file, "not a private key that libssh reads");
	if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS)
		fail("logging in");
	ssh_key_free(key);
}

static void copy(ssh_channel channel, int is_stderr, FILE *to)
{
	char buffer[4096];
	int n;

	while ((n = ssh_channel_read(channel, buffer, sizeof buffer, is_stderr)) > 0)
		fwrite(buffer, 1, n, to);
	if (n < 0)
		fail("reading");
}

static int run(const char *command)
{
	ssh_channel channel = ssh_channel_new(session);
	int status;

	if (channel == NULL || ssh_channel_open_session(channel) != SSH_OK || ssh_channel_request_exec(channel, command) != SSH_OK)
		fail("running the command");
	ssh_channel_send_eof(channel);
	copy(channel, 0, stdout);
	copy(channel, 1, stderr);
	status = ssh_channel_get_exit_status(channel);
	ssh_channel_free(channel);
	return status < 0 ? 255 : status;
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
	session = ssh_new();
	if (argc < 6 || session == NULL)
		return 64;
	dial(argv[1], argv[2], argv[4]);
	login(argv[3]);
	status = run(command);
	ssh_disconnect(session);
	ssh_free(session);
	return status;
}
