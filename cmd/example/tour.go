package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/identity"
)

// parent is permanent: it outlives every session.
const parent = "/example"

type tour struct {
	out     io.Writer
	log     *slog.Logger
	servers []string
	tls     identity.Files
	chroot  string // "" or "/a/b": the library has none, so we put it before each path
	timeout time.Duration
	wait    time.Duration
}

func (t tour) run(ctx context.Context) error {
	// Connect returns at once. The library connects in the background, and
	// again whenever the connection is lost, and reports each change of state.
	sockets, closeSockets := context.WithCancel(context.Background())
	wire := &wire{ctx: sockets, tls: t.tls}
	conn, events, err := zk.Connect(t.servers, t.timeout, zk.WithDialer(wire.dial), zk.WithHostProvider(new(byName)), zk.WithLogger(logger{t.log}))
	if err != nil {
		closeSockets()
		return fmt.Errorf("connect to %s: %w", strings.Join(t.servers, ","), err)
	}
	connected := make(chan struct{})
	var printer sync.WaitGroup
	printer.Go(func() { t.printStates(events, connected) })

	// The end, last line first. Close ends the session, so that the servers
	// remove its ephemeral znodes at once; a process that just dies keeps them
	// for the session timeout. Then the library closes events.
	defer printer.Wait()
	defer closeSockets()
	defer conn.Close()

	select {
	case <-connected:
	case <-time.After(t.wait):
		err := cmp.Or(wire.lastErr(), errors.New("no answer"))
		return fmt.Errorf("no ZooKeeper at %s: %w (waited %s)", strings.Join(t.servers, ","), err, t.wait)
	case <-ctx.Done():
		return ctx.Err()
	}
	fmt.Fprintf(t.out, "session: %#x\n", conn.SessionID())

	// Ctrl-C closes the connection, and with it whatever call is under way.
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	err = t.create(conn)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// printStates prints the states as they come: StateConnecting; StateConnected,
// the socket is open; StateHasSession, a server has granted the session or goes
// on with it; StateDisconnected, and then from the start. StateExpired comes
// when a reconnect was too late.
func (t tour) printStates(events <-chan zk.Event, connected chan<- struct{}) {
	first := true
	for ev := range events {
		if ev.Type != zk.EventSession {
			continue // a watch; we set none
		}
		fmt.Fprintf(t.out, "state: %s\n", ev.State)
		if ev.State == zk.StateHasSession && first {
			close(connected)
			first = false
		}
	}
}

func (t tour) create(conn *zk.Conn) error {
	// There is no "mkdir -p": every znode on the way is created by itself.
	// Another process may do so at the same time, which is just as well.
	dir := ""
	for name := range strings.SplitSeq(strings.TrimPrefix(t.chroot+parent, "/"), "/") {
		dir += "/" + name
		_, err := conn.Create(dir, nil, 0, zk.WorldACL(zk.PermAll))
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("create %s: %w", dir, err)
		}
	}

	// The servers append ten digits to the name, higher than all before under
	// the same parent. If the connection is lost before the answer comes, the
	// znode may be there all the same: a program that goes on has to look.
	path, err := conn.Create(dir+"/znode-", []byte("hello"), zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
	if err != nil {
		return fmt.Errorf("create a znode under %s: %w", dir, err)
	}
	fmt.Fprintf(t.out, "created: %s\n", strings.TrimPrefix(path, t.chroot))

	data, stat, err := conn.Get(path)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	fmt.Fprintf(t.out, "data: %q\n", data)
	fmt.Fprintf(t.out, "stat: version %d, ephemeralOwner %#x, czxid %#x, created %s\n",
		stat.Version,        // how often the data was set
		stat.EphemeralOwner, // the session it vanishes with; 0 for a permanent one
		stat.Czxid,          // the number of the transaction that created it
		time.UnixMilli(stat.Ctime).Format(time.RFC3339))
	return nil
}

// logger logs the library's messages.
type logger struct{ log *slog.Logger }

func (l logger) Printf(format string, args ...any) {
	l.log.Debug("library", "says", fmt.Sprintf(format, args...))
}
