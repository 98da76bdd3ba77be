package session_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"taskkeeper/internal/lab/zktest"
	"taskkeeper/internal/session"
)

// A Multi does all of its operations or none. Each may carry the version that its znode must
// have, so that nobody overwrites what they have not seen.
func Example() {
	addr, stop := zktest.Serve()
	defer stop()
	s, err := session.Open(context.Background(), session.Config{Address: session.Address{Servers: []string{addr}}})
	if err != nil {
		panic(err)
	}
	defer s.Close()

	_, err = s.Multi(session.Create("/a", []byte("1")), session.CreateEphemeral("/b", nil))
	fmt.Println("both are created:", err)

	_, stat, err := s.Get("/a")
	if err != nil {
		panic(err)
	}
	_, err = s.Multi(session.Set("/a", []byte("2"), stat.Version)) // somebody else, say
	fmt.Println("set at the version that was read:", err)

	_, err = s.Multi(session.Delete("/b", session.AnyVersion), session.Set("/a", []byte("3"), stat.Version))
	var refused *session.OpError
	fmt.Println("set at the same version again:", errors.Is(err, zk.ErrBadVersion), errors.As(err, &refused) && refused.Op.Path == "/a")

	data, _, err := s.Get("/a")
	_, _, berr := s.Get("/b")
	fmt.Printf("nothing of it was done: %s %v %v\n", data, err, berr)
	// Output:
	// both are created: <nil>
	// set at the version that was read: <nil>
	// set at the same version again: true true
	// nothing of it was done: 2 <nil> <nil>
}
