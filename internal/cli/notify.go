package cli

import (
	"log/slog"
	"net"
	"os"
	"time"
)

// manager is the socket on which the service manager that started this process wants
// to be told how it is; empty: there is none.
var manager string

// findManager looks for it in the environment, and takes it from there: the commands of
// a worker must not speak for it.
func findManager() {
	manager = os.Getenv("NOTIFY_SOCKET")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name)
	}
}

// Ready tells the service manager, if there is one, that this process does its work.
// It may be told so again.
func Ready(log *slog.Logger) {
	if err := tell("READY=1"); err != nil {
		log.Warn("could not tell systemd that the program is ready", "err", err)
	}
}

// tell sends the service manager a state, as sd_notify(3) does.
func tell(state string) error {
	if manager == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", manager)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // nobody waits for a manager that reads nothing
	_, err = conn.Write([]byte(state))
	return err
}
