// Package suite runs all tests of the project, some of them in several ways, and prints a line for
// each package.
package suite
