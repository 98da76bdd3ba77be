package session

import "time"

// Meter counts the requests of a process to ZooKeeper. Its methods must be safe to call
// from any goroutine, and must not block. See package metrics.
type Meter interface {
	Request(kind string, began time.Time) // has its answer, or lost it
	Operation(kind string)                // of a Multi
	Connected(first bool)                 // first: a session began; else it connected again
	Disconnected()                        // the connection is lost
}

type noMeter struct{}

func (noMeter) Request(string, time.Time) {}
func (noMeter) Operation(string)          {}
func (noMeter) Connected(bool)            {}
func (noMeter) Disconnected()             {}
