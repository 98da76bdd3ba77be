// Package cmdtest tests the built programs, as a shell sees them: arguments,
// signals, output and exit statuses, against real servers.
package cmdtest
