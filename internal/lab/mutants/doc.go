// Package mutants takes one rule of the product away at a time, and checks that a test fails then.
//
// A [Rule] names a line of the source and what stands there without the rule. The patched
// file never enters the checkout: it lies in a temporary folder, and go build -overlay reads it
// instead of the real one.
//
//	rule ──► patched file, overlay ──► go test -c    ──► the rule's test must fail
//	                               └─► go build      ──► a scenario shows what happens
//
// A test that fails proves nothing if it fails with the rule as well. So it runs with the rule
// first, and must pass.
//
// A patch is as small as possible: mostly a version is not checked any more, a read is left out, or
// a condition never holds. The old text must stand in its file exactly
// once; where the source moves on, a test of this package says which patch to mend.
package mutants
