/* Connecting, and an interrupt that came before: work is not begun any more, cleaning up is. */
#include "pg/session.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/interrupt.h"

/* A server that takes connections and says nothing. */
static int silent_server(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, length), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void interrupt(void)
{
    interrupt_init();
    kill(getpid(), SIGTERM);
    while (!interrupt_signal())
        g_usleep(1000);
}

static void test_after_an_interrupt(void)
{
    int port, fd = silent_server(&port);
    struct pg_target t = {.host = (char *)"127.0.0.1", .name = (char *)"x", .user = (char *)"x", .port = port};
    g_autoptr(GError) work = NULL, cleaning = NULL;
    interrupt();
    g_assert_null(session_open(&t, NULL, &work)); /* else it would wait for a minute, and not be OT_INTERRUPTED */
    g_assert_error(work, OT_ERROR, OT_INTERRUPTED);
    t.timeout_s = 1;
    g_assert_null(session_open_despite_interrupt(&t, NULL, &cleaning));
    g_assert_error(cleaning, OT_ERROR, OT_CONNECT);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/after-an-interrupt", test_after_an_interrupt);
    return g_test_run();
}
