// Package report makes the report's text and figures from the evidence of runs: no
// number in it is typed by hand.
package report
