// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manimJob imports Manim, says so, and renders a scene of about the given
// seconds at 480p15 once it is told to.
const manimJob = `
import os, resource, sys, time
import manim
print("ready", flush=True)
seconds = float(sys.stdin.readline())

class Job(manim.Scene):
    def construct(self):
        grid = manim.VGroup(*(manim.Square(0.4) for _ in range(100))).arrange_in_grid(10)
        self.play(manim.Create(grid), run_time=seconds / 2)
        self.play(manim.Rotate(grid), run_time=seconds / 2)

config = {"media_dir": os.environ["OUT"], "quality": "low_quality", "progress_bar": "none", "verbosity": "ERROR"}
with manim.tempconfig(config):
    scene = Job()
    scene.render()
    os.rename(scene.renderer.file_writer.movie_file_path, os.path.join(os.environ["OUT"], "film.mp4"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, flush=True)
`

// manimProc is a Python with a job of manimJob that has said ready.
type manimProc struct {
	*Proc
	lines *bufio.Reader
}

func startManim(t testing.TB, tier Tier) manimProc {
	t.Helper()
	name, r := python(t)
	if name == "" {
		t.Skip("MESHNODE_PYTHON names no Python with Manim")
	}
	spec := Spec{Argv: []string{name, "-I", "-c", manimJob}, Runtime: r, Scratch: scratch(t)}
	switch out := "OUT=" + filepath.Join(spec.Scratch, "out"); tier {
	case Direct:
		spec.Env = append(os.Environ(), out)
	case Basic:
		spec.Env = []string{out, "PYTHONHASHSEED=0"}
	default:
		spec.Env = []string{"OUT=/out", "PYTHONHASHSEED=0"}
	}
	p, err := Start(context.Background(), tier, spec)
	if tier == Basic && os.Geteuid() == 0 && err != nil && strings.Contains(err.Error(), "permission denied") {
		t.Skip("the Python cannot be reached by the user of jobs:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout().SetReadDeadline(time.Now().Add(time.Minute))
	m := manimProc{p, bufio.NewReader(p.Stdout())}
	if line := m.line(); line != "ready" {
		t.Fatalf("said %q: %s", line, p.Stderr())
	}
	return m
}

func (m manimProc) line() string {
	line, _ := m.lines.ReadString('\n')
	return strings.TrimSpace(line)
}

// render returns the CPU seconds that the process says it has used.
func (m manimProc) render(t testing.TB, seconds int) float64 {
	t.Helper()
	if _, err := io.WriteString(m.Stdin(), strconv.Itoa(seconds)+"\n"); err != nil {
		t.Fatal(err)
	}
	used, err := strconv.ParseFloat(m.line(), 64)
	exit := m.Wait()
	if exit.Err() != nil || err != nil {
		t.Fatalf("render: %v, %v: %s", exit.Err(), err, exit.Stderr)
	}
	return used
}

func TestManim(t *testing.T) {
	t.Parallel()
	forTiers(t, func(t *testing.T, tier Tier) {
		t.Parallel()
		m := startManim(t, tier)
		defer m.Close()
		m.render(t, 1)
		film, err := m.Out().ReadFile("film.mp4")
		if err != nil || len(film) < 1000 {
			t.Errorf("a film of %d bytes: %v", len(film), err)
		}
	})
}

// BenchmarkManim tells what a sandbox costs: the time to a warm engine, and the
// CPU time of a start and a render. The tiers take turns, as the machine's other work
// changes: -benchtime 7x has seven rounds.
func BenchmarkManim(b *testing.B) {
	tiers := slices.Clone(testTiers)
	if os.Geteuid() == 0 { // whose Python cannot be reached, mostly
		tiers = slices.DeleteFunc(tiers, func(t Tier) bool { return t == Basic })
	}
	startManim(b, Direct).Close() // files into the cache
	ready, cpu := make(map[Tier][]float64), make(map[Tier][]float64)
	for b.Loop() {
		for _, tier := range tiers {
			begin := time.Now()
			m := startManim(b, tier)
			ready[tier] = append(ready[tier], time.Since(begin).Seconds()*1000)
			cpu[tier] = append(cpu[tier], m.render(b, 4))
			m.Close()
		}
	}
	for _, tier := range tiers {
		slices.Sort(ready[tier])
		slices.Sort(cpu[tier])
		b.ReportMetric(ready[tier][0], string(tier)+"-least-ready-ms")
		b.ReportMetric(cpu[tier][0], string(tier)+"-least-cpu-s")
		b.ReportMetric(cpu[tier][len(cpu[tier])/2], string(tier)+"-median-cpu-s")
	}
}
