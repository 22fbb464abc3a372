package app

import (
	"runtime"
	"runtime/debug"
)

// Build describes this program.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// ThisBuild reads what the go command has stored in the program.
func ThisBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// Version returns the version of this program.
func Version() string { return ThisBuild().Version }

// CalledBy is the environment variable in which dray passes its version to drayd.
const CalledBy = "DRAY_CALLED_BY"
