//go:build !linux

package command

import (
	"os"
	"syscall"
)

const adopts = false

func showName(string) {}

func adoptOrphans() error { return nil }

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func executable() (string, error) { return os.Executable() }

func killLeft(group int, _ bool) { _ = syscall.Kill(-group, syscall.SIGKILL) }

func reap(func(int) bool) {}

// isStopped cannot tell here without reaping a child that has ended.
func isStopped(int) bool { return false }
