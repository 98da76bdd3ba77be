// Package scenario runs scripts with the real programs, on ZooKeeper servers of its own: the fault
// scenarios, random faults, and the demo. A script starts programs, sends signals, waits for what
// the programs log, and checks how soon work goes on. Its timeline is printed. At the end every
// write is judged by ZooKeeper's own log. With --without RULE a fault scenario shows the bug
// that the rule prevents.
package scenario
