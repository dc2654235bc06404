// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// stayTime is how long jobs give the node to look at them.
const stayTime = "STAY=5s"

// startJob starts a test job in a tier. Its Proc is closed with the test.
func startJob(t *testing.T, ctx context.Context, tier Tier, limits Limits, job ...string) *Proc {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Argv: append([]string{self, testStage}, job...), Limits: limits.orDefault()}
	spec.Scratch = scratch(t)
	dirs := []string{"IN=" + filepath.Join(spec.Scratch, "in"), "OUT=" + filepath.Join(spec.Scratch, "out"), "TMP=" + filepath.Join(spec.Scratch, "tmp")}
	var p *Proc
	switch tier {
	case Direct:
		spec.Env = append(os.Environ(), dirs...)
		p, err = Start(ctx, tier, spec)
	case Basic, Seatbelt:
		spec.Env = append(dirs, stayTime)
		p, err = startTestBox(ctx, tier, spec, self)
	default:
		spec.Env = []string{"IN=/in", "OUT=/out", "TMP=/tmp", stayTime}
		p, err = startTestBox(ctx, tier, spec, self)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// scratch returns the path of a folder to come that every user can reach, unlike
// one of t.TempDir.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-scratch-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "job")
}

func forTiers(t *testing.T, f func(t *testing.T, tier Tier)) {
	for _, tier := range testTiers {
		t.Run(string(tier), func(t *testing.T) { f(t, tier) })
	}
}

func TestEcho(t *testing.T) {
	forTiers(t, func(t *testing.T, tier Tier) {
		begin := time.Now()
		p := startJob(t, t.Context(), tier, Limits{}, "echo")
		if _, err := io.WriteString(p.Stdin(), "hello\n"); err != nil {
			t.Fatal(err)
		}
		p.Stdout().SetReadDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(p.Stdout()).ReadString('\n')
		if line != "hello\n" {
			t.Fatalf("read %q, %v", line, err)
		}
		t.Logf("answered after %v", time.Since(begin))
		p.Stdin().Close()
		exit := p.Wait()
		if exit.Err() != nil || string(exit.Stderr) != "echo starts\n" {
			t.Errorf("ended as %+v, stderr %q", exit, exit.Stderr)
		}
	})
}

func TestGiveAndTake(t *testing.T) {
	forTiers(t, func(t *testing.T, tier Tier) {
		p := startJob(t, t.Context(), tier, Limits{}, "copy")
		if err := p.In().MkdirAll("deep/er", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := p.In().WriteFile("deep/er/file", []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Give(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(p.Stdin(), "deep/er/file\n"); err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit.Err() != nil {
			t.Fatalf("%v: %s", exit.Err(), exit.Stderr)
		}
		if text, err := p.Out().ReadFile("result"); string(text) != "content" || err != nil {
			t.Errorf("took %q, %v", text, err)
		}
		if err := p.Out().Remove("result"); err != nil {
			t.Errorf("the result cannot be removed: %v", err)
		}
	})
}
