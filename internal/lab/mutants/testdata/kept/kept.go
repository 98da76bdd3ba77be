// Package kept has one rule, and tests of all kinds.
package kept

// Kept is true.
func Kept() bool {
	return true
}
