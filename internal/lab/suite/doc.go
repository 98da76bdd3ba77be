// Package suite runs all tests of the project, some of them in several ways, and tells of
// them in a line for each package.
package suite
