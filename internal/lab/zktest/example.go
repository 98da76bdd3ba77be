package zktest

// Serve starts a server for an executed Example, which has no testing.TB: it panics where
// the server does not start. The caller must call stop.
func Serve() (addr string, stop func()) {
	s, err := Start(Options{})
	if err != nil {
		panic(err)
	}
	return s.Addr(), s.Stop
}
