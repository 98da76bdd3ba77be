package session

import "time"

// Meter counts what the sessions of a process ask of ZooKeeper. Its methods are called from
// any goroutine, and do not block. See package metrics.
type Meter interface {
	Request(kind string, began time.Time) // answered now, or its answer was lost
	Operation(kind string)                // of a Multi
	Connected(first bool)                 // a session began, or has its connection back
	Disconnected()                        // there is no connection
}

type noMeter struct{}

func (noMeter) Request(string, time.Time) {}
func (noMeter) Operation(string)          {}
func (noMeter) Connected(bool)            {}
func (noMeter) Disconnected()             {}
