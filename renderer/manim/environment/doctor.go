// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pbnjay/memory"
)

// Status is the outcome of a check.
type Status string

// Outcomes. Warn: meshnode works, but not in every case or not at its best.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Check is one line of what Doctor found.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Do     string `json:"do,omitempty"` // what to do about it; empty when OK
}

// Sandbox is what the caller's sandbox found of itself.
type Sandbox struct {
	Tier   string // "none": other peers' jobs are not rendered here
	Reason string // why the tier is not the best one; empty if it is
}

const (
	wantDisk   = 5 << 30 // bytes: an environment, and the blocks of some films
	wantMemory = 2 << 30 // bytes: a cell at 1080p takes up to 0.8 GB, beside what else runs
)

// Doctor checks what meshnode needs of this machine. python is as for Find. It
// changes nothing but the cache of Find.
func Doctor(ctx context.Context, home, python string, sandbox Sandbox) []Check {
	checks := manimChecks(ctx, home, python)
	checks = append(checks, latexCheck(), diskCheck(home), memoryCheck(), sandboxCheck(sandbox))
	interfaces, err := net.Interfaces()
	return append(checks, networkCheck(interfaces, err))
}

// manimChecks tells of each environment, of those that do not work, and if there
// is none, what there is instead.
func manimChecks(ctx context.Context, home, python string) []Check {
	found, problems := look(ctx, home, python)
	var checks []Check
	for _, e := range found {
		checks = append(checks, environmentChecks(&e)...)
	}
	for _, err := range problems {
		checks = append(checks, problemCheck("manim", err))
	}
	if len(found) > 0 || python != "" {
		return checks
	}
	if p := onPath(ctx, home); p != "" {
		return append(checks, Check{"python", OK, p + " has Manim", fmt.Sprintf("to use it, run \"meshnode setup --python %s\"", p)})
	}
	b, err := findBase(ctx, releases[0].maxMinor)
	if err != nil {
		return append(checks, problemCheck("python", err))
	}
	return append(checks, Check{"python", OK, fmt.Sprintf("Python %s (%s), from which Manim can be set up", b.series(), b.Python), ""})
}

func environmentChecks(e *Environment) []Check {
	c := e.Components
	checks := []Check{
		{"python", OK, fmt.Sprintf("Python %s (%s), %s", e.Version, e.Python, e.Origin), ""},
		{"manim", OK, fmt.Sprintf("Manim %s, fingerprint %.12s", e.Manim, e.Fingerprint), ""},
		{"drawing", OK, fmt.Sprintf("cairo %s, Pango %s, numpy %s", c["cairo"], c["pango"], c["numpy"]), ""},
		{"encoder", OK, fmt.Sprintf("PyAV %s with x264 build %s; no ffmpeg needed", c["av"], c["x264"]), ""},
	}
	if !triedManim(e.Manim) {
		checks[1].Status, checks[1].Do = Warn, "meshnode is tried with Manim 0.19 to 0.22; run \"meshnode setup\" for "+ManagedManim
	}
	images := Check{"images", OK, "Pillow " + c["pillow"], ""}
	if !e.Images {
		images.Status = Warn
		images.Found += ", under which Manim's image mobjects fail"
		images.Do = fmt.Sprintf("run \"%s -m pip install 'pillow<13'\"", e.Python)
	}
	fonts := Check{"fonts", OK, fmt.Sprintf("%d font families", e.Fonts), ""}
	if e.Fonts == 0 {
		fonts.Status, fonts.Found = Warn, "no fonts: text of your own scenes has no glyphs"
		fonts.Do = "install some, such as DejaVu (package fonts-dejavu-core, dejavu-sans-fonts or ttf-dejavu)"
	}
	return append(checks, images, fonts, readableCheck(e))
}

// readableCheck tells what of this machine other nodes' jobs can read, beside what is
// the system's.
func readableCheck(e *Environment) Check {
	own := slices.DeleteFunc(slices.Clone(e.Prefixes), func(p string) bool {
		return slices.ContainsFunc([]string{"/usr", "/bin", "/lib", "/lib64"}, func(system string) bool { return within(p, system) })
	})
	if len(own) == 0 {
		return Check{"readable", OK, "other nodes' jobs can read the system's programs only", ""}
	}
	return Check{"readable", OK, "other nodes' jobs can read all in " + strings.Join(own, ", ") + ", beside the system's programs", ""}
}

func triedManim(version string) bool {
	switch pythonSeries(version) {
	case "0.19", "0.20", "0.21", "0.22":
		return true
	}
	return false
}

// onPath returns the first Python on PATH that has a working Manim, or "".
func onPath(ctx context.Context, home string) string {
	for _, name := range baseNames {
		p, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		b, err := askBase(ctx, p) // sees through launchers, which a sandbox cannot use
		if err != nil {
			continue
		}
		if e, err := examine(ctx, home, b.Python, Given); err == nil {
			return e.Python
		}
	}
	return ""
}

func problemCheck(name string, err error) Check {
	var p *Problem
	if !errors.As(err, &p) {
		return Check{name, Fail, err.Error(), ""}
	}
	found := p.What
	if p.Err != nil {
		found += ": " + p.Err.Error()
	}
	return Check{name, Fail, found, p.Do}
}

func latexCheck() Check {
	for _, name := range []string{"latex", "dvisvgm"} {
		if _, err := exec.LookPath(name); err != nil {
			return Check{"latex", OK, "no " + name + ": needed only where scenes with Tex or MathTex are published from, never to render", ""}
		}
	}
	return Check{"latex", OK, "latex and dvisvgm", ""}
}

func diskCheck(home string) Check {
	existing := home
	for {
		if _, err := os.Stat(existing); err == nil || filepath.Dir(existing) == existing {
			break
		}
		existing = filepath.Dir(existing)
	}
	free, err := freeDisk(existing)
	if err != nil {
		return Check{"disk", Warn, "free space cannot be told: " + err.Error(), "see that " + home + " can be written"}
	}
	c := Check{"disk", OK, fmt.Sprintf("%.1f GB free under %s", float64(free)/1e9, home), ""}
	if free < wantDisk {
		c.Status, c.Do = Warn, fmt.Sprintf("make room: %d GB are comfortable", wantDisk>>30)
	}
	return c
}

func memoryCheck() Check {
	total := memory.TotalMemory()
	if total == 0 {
		return Check{"memory", OK, "cannot be told on this system", ""}
	}
	c := Check{"memory", OK, fmt.Sprintf("%.1f GB", float64(total)/1e9), ""}
	if total < wantMemory {
		c.Status, c.Do = Warn, "render with fewer slots (--slots 1) and at lower resolutions"
	}
	return c
}

func sandboxCheck(s Sandbox) Check {
	switch {
	case s.Tier == "" || s.Tier == "none":
		found := "none"
		if s.Reason != "" {
			found += ": " + s.Reason
		}
		return Check{"sandbox", Warn, found, "without one only your own jobs are rendered here; see docs/sandbox.md"}
	case s.Reason != "":
		return Check{"sandbox", OK, s.Tier + " (" + s.Reason + ")", ""}
	}
	return Check{"sandbox", OK, s.Tier, ""}
}

// networkCheck looks for an interface over which mDNS can find peers.
func networkCheck(interfaces []net.Interface, err error) Check {
	if err != nil {
		return Check{"network", Warn, "interfaces cannot be listed: " + err.Error(), "connect by address with --peer"}
	}
	var names []string
	for _, i := range interfaces {
		const want = net.FlagUp | net.FlagRunning | net.FlagMulticast
		if i.Flags&want == want && i.Flags&net.FlagLoopback == 0 {
			names = append(names, i.Name)
		}
	}
	if len(names) == 0 {
		return Check{"network", Warn, "no interface that is up and carries multicast, so peers cannot be found by themselves",
			"connect the machine to the network, or name a peer with --peer"}
	}
	return Check{"network", OK, "peers are looked for on " + strings.Join(names, ", "), ""}
}
