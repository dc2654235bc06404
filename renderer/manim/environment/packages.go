// SPDX-License-Identifier: MIT

package environment

import (
	"os"
	"runtime"
	"strings"
)

// need is something a system package brings.
type need string

const (
	needPython    need = "Python 3.11 or newer"
	needVenv      need = "Python's venv module"
	needHeaders   need = "Python's C headers"
	needCompiler  need = "a C compiler"
	needPkgConfig need = "pkg-config"
	needCairo     need = "cairo's headers"
	needPango     need = "Pango's headers"
)

// system is what decides how packages are named and installed.
type system struct {
	manager string // "apt", "dnf", "pacman", "zypper", "brew" or ""
	sudo    bool
}

// packageNames has the packages for each need; PYTHON stands for the series of
// the Python they are for. An empty name: it comes with Python itself.
var packageNames = map[string]map[need]string{
	"apt": {
		needPython: "python3", needVenv: "PYTHON-venv", needHeaders: "PYTHON-dev", needCompiler: "build-essential",
		needPkgConfig: "pkg-config", needCairo: "libcairo2-dev", needPango: "libpango1.0-dev",
	},
	"dnf": {
		needPython: "python3", needVenv: "", needHeaders: "PYTHON-devel", needCompiler: "gcc gcc-c++",
		needPkgConfig: "pkgconf-pkg-config", needCairo: "cairo-devel", needPango: "pango-devel",
	},
	"pacman": {
		needPython: "python", needVenv: "", needHeaders: "", needCompiler: "base-devel",
		needPkgConfig: "pkgconf", needCairo: "cairo", needPango: "pango",
	},
	"zypper": {
		needPython: "python313", needVenv: "", needHeaders: "PYTHON-devel", needCompiler: "gcc gcc-c++",
		needPkgConfig: "pkgconf-pkg-config", needCairo: "cairo-devel", needPango: "pango-devel",
	},
	"brew": {
		needPython: "python@3.13", needVenv: "python@3.13", needHeaders: "python@3.13", needCompiler: "llvm",
		needPkgConfig: "pkgconf", needCairo: "cairo", needPango: "pango",
	},
}

var installVerbs = map[string]string{
	"apt": "apt install", "dnf": "dnf install", "pacman": "pacman -S", "zypper": "zypper install", "brew": "brew install",
}

// installCommand returns, in quotes, the command that installs the needs on s
// for the Python of that series ("3.12"; empty: the system's). On a system that
// is not known it names the needs.
func installCommand(s system, series string, needs ...need) string {
	names := packageNames[s.manager]
	if names == nil {
		return "your package manager to install " + join(needs)
	}
	python := "python" + series
	switch {
	case series == "":
		python = "python3"
	case s.manager == "zypper":
		python = "python" + strings.ReplaceAll(series, ".", "")
	}
	var words []string
	seen := make(map[string]bool)
	for _, n := range needs {
		for _, w := range strings.Fields(strings.ReplaceAll(names[n], "PYTHON", python)) {
			if !seen[w] {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	if len(words) == 0 {
		return "your package manager to install " + join(needs)
	}
	command := installVerbs[s.manager] + " " + strings.Join(words, " ")
	if s.sudo {
		command = "sudo " + command
	}
	return `"` + command + `"`
}

func join(needs []need) string {
	words := make([]string, len(needs))
	for i, n := range needs {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

func hostSystem() system {
	switch runtime.GOOS {
	case "darwin":
		return system{manager: "brew"}
	case "linux":
		release, err := os.ReadFile("/etc/os-release")
		if err != nil {
			return system{}
		}
		return system{manager: packageManager(string(release)), sudo: os.Geteuid() != 0}
	}
	return system{}
}

// packageManager reads the ID and ID_LIKE lines of an os-release file.
func packageManager(release string) string {
	var ids []string
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name == "ID" || name == "ID_LIKE" {
			ids = append(ids, strings.Fields(strings.Trim(value, `"'`))...)
		}
	}
	for _, id := range ids {
		switch id {
		case "debian", "ubuntu":
			return "apt"
		case "fedora", "rhel", "centos":
			return "dnf"
		case "arch":
			return "pacman"
		case "suse", "opensuse":
			return "zypper"
		}
	}
	return ""
}
