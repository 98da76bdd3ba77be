// Package load puts the service under load as a client does, and measures what the client
// sees. Compare its figures only within one run: they depend on the speed of the machine.
package load
