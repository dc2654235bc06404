// SPDX-License-Identifier: MIT

package environment

import "testing"

func TestPackageManager(t *testing.T) {
	for release, want := range map[string]string{
		"NAME=\"Debian GNU/Linux\"\nID=debian\n":    "apt",
		"ID=ubuntu\nID_LIKE=debian\n":               "apt",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n": "apt",
		"ID=fedora\n": "dnf",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n": "dnf",
		"ID=arch": "pacman",
		"ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n": "zypper",
		"ID=nixos\n": "",
		"":           "",
	} {
		if got := packageManager(release); got != want {
			t.Errorf("packageManager(%q) = %q; want %q", release, got, want)
		}
	}
}

func TestInstallCommand(t *testing.T) {
	all := []need{needVenv, needHeaders, needCompiler, needPkgConfig, needCairo, needPango}
	for _, c := range []struct {
		s      system
		series string
		needs  []need
		want   string
	}{
		{system{"apt", true}, "3.12", all, `"sudo apt install python3.12-venv python3.12-dev build-essential pkg-config libcairo2-dev libpango1.0-dev"`},
		{system{"apt", false}, "", []need{needVenv}, `"apt install python3-venv"`},
		{system{"dnf", true}, "3.13", all, `"sudo dnf install python3.13-devel gcc gcc-c++ pkgconf-pkg-config cairo-devel pango-devel"`},
		{system{"dnf", true}, "", []need{needHeaders}, `"sudo dnf install python3-devel"`},
		{system{"pacman", true}, "3.13", []need{needCairo, needPango}, `"sudo pacman -S cairo pango"`},
		{system{"zypper", true}, "3.13", []need{needHeaders}, `"sudo zypper install python313-devel"`},
		{system{"brew", false}, "", []need{needPython, needVenv, needPkgConfig, needCairo}, `"brew install python@3.13 pkgconf cairo"`},
		{system{"pacman", true}, "3.13", []need{needVenv}, "your package manager to install Python's venv module"},
		{system{}, "3.13", []need{needCompiler, needCairo}, "your package manager to install a C compiler, cairo's headers"},
	} {
		if got := installCommand(c.s, c.series, c.needs...); got != c.want {
			t.Errorf("installCommand(%v, %q) = %s; want %s", c.s, c.series, got, c.want)
		}
	}
}

func TestPackageTablesAreComplete(t *testing.T) {
	for manager, names := range packageNames {
		if installVerbs[manager] == "" {
			t.Errorf("%s has no command", manager)
		}
		for _, n := range []need{needPython, needVenv, needHeaders, needCompiler, needPkgConfig, needCairo, needPango} {
			if _, ok := names[n]; !ok {
				t.Errorf("%s has no package for %s", manager, n)
			}
		}
	}
}
