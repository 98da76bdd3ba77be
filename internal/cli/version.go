package cli

import "runtime/debug"

// version is set by -ldflags "-X taskkeeper/internal/cli.version=…".
var version string

// Version is the version of the build: what the linker was told, else what Go
// knows, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
