package cli

import (
	"log/slog"
	"net"
	"os"
	"time"
)

// manager is the socket of the service manager that started this process; empty: there is
// none.
var manager string

// findManager reads the socket from the environment, and removes it there: the commands of a
// worker must not report for the worker.
func findManager() {
	manager = os.Getenv("NOTIFY_SOCKET")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name)
	}
}

// Ready reports to the service manager, if there is one, that this process does its work. It
// may be called again.
func Ready(log *slog.Logger) {
	if err := notify("READY=1"); err != nil {
		log.Warn("could not tell systemd that the program is ready", "err", err)
	}
}

// notify sends the service manager a state, as sd_notify(3) does.
func notify(state string) error {
	if manager == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", manager)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // a manager that reads nothing must not block the program
	_, err = conn.Write([]byte(state))
	return err
}
