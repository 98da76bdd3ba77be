// Package compare runs the service on one ZooKeeper server and on an ensemble of three, in
// turns, and shows the difference.
package compare
