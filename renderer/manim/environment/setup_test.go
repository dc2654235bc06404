// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSetup(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	var said []string
	progress := func(line string) { said = append(said, line) }
	e, err := Setup(t.Context(), home, ManagedManim, progress)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(home, "environments", "manim-"+ManagedManim, "bin", "python"); e.Python != want || e.Origin != Managed {
		t.Errorf("set up %s (%s); want %s", e.Python, e.Origin, want)
	}
	script, err := os.ReadFile(filepath.Join(filepath.Dir(e.Python), "manim"))
	if err != nil || firstLine(script) != "#!"+e.Python {
		t.Errorf("the manim command starts %q, %v: not the final folder", firstLine(script), err)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "Manim "+ManagedManim) || !strings.Contains(all, "  numpy 2.4.6") {
		t.Errorf("progress said %q", all)
	}

	before, pips := f.ran("python"), f.ran("-m pip")
	if _, err := Setup(t.Context(), home, ManagedManim, nil); err != nil {
		t.Fatal(err)
	}
	if after := f.ran("python"); after != before || pips != 2 {
		t.Errorf("the second setup started python: %d, %d times; the first pip %d times", before, after, pips)
	}

	// Another version of meshnode has another lock: the environment is replaced.
	receipt := filepath.Join(filepath.Dir(filepath.Dir(e.Python)), "receipt.json")
	if err := os.WriteFile(receipt, []byte(`{"lock": "older"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Setup(t.Context(), home, ManagedManim, nil); err != nil {
		t.Fatal(err)
	}
	if n := f.ran("-m pip"); n != 4 {
		t.Errorf("pip ran %d times; want 4", n)
	}
	wantTidy(t, home)

	found, err := Find(t.Context(), home, "")
	if err != nil || len(found) != 1 || found[0].Python != e.Python {
		t.Errorf("found %+v, %v", found, err)
	}
}

// wantTidy checks that no unfinished environment lies about.
func wantTidy(t *testing.T, home string) {
	t.Helper()
	entries, err := os.ReadDir(folder(home))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s was left", e.Name())
		}
	}
}

func TestSetupRepairs(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	e, err := Setup(t.Context(), home, ManagedManim, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.Python, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Find(t.Context(), home, "")
	wantProblem(t, err, "no longer works", "meshnode setup")
	if _, err := Setup(t.Context(), home, ManagedManim, nil); err != nil {
		t.Fatal(err)
	}
	if n := f.ran("-m pip"); n != 4 {
		t.Errorf("pip ran %d times; want 4", n)
	}
}

func TestSetupProblems(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*fake)
		words []string
	}{
		{"no python", func(f *fake) { f.remove("python3") }, []string{"needs Python 3.11 to 3.14, and there is none"}},
		{"old python", func(f *fake) { f.base(9, `"venv": true, "headers": true`) }, []string{"there is none", "is 3.9"}},
		{"new python", func(f *fake) { f.base(15, `"venv": true, "headers": true`) }, []string{"is 3.15"}},
		{"no venv", func(f *fake) { f.base(12, `"venv": false, "headers": true`) }, []string{"missing: Python's venv module"}},
		{"no headers", func(f *fake) { f.base(12, `"venv": true, "headers": false`) }, []string{"missing: Python's C headers"}},
		{"no compiler", func(f *fake) { f.remove("cc") }, []string{"missing: a C compiler"}},
		{"no pkg-config", func(f *fake) { f.remove("pkg-config") }, []string{"pkg-config", "cairo", "Pango"}},
		{"no cairo", func(f *fake) { f.write("pkg-config", "#!/bin/sh\n[ $2 != cairo ]\n") }, []string{"missing: cairo's headers"}},
		{"no index", func(f *fake) {
			f.write("pip", "echo 'ERROR: No matching distribution found for av==18.1.0'; exit 1")
		}, []string{"install the build tools", "No matching distribution", "reaches the Python package index"}},
		{"other files", func(f *fake) {
			f.write("pip", "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.'; exit 1")
		}, []string{"PIP_INDEX_URL"}},
		{"no disk", func(f *fake) { f.write("pip", "echo 'OSError: [Errno 28] No space left on device'; exit 1") }, []string{"make room"}},
		{"does not start", func(f *fake) {
			f.probe(with("broken", map[string]string{"step": "manim", "error": "ImportError: libpango-1.0.so.0: cannot open shared object file"}))
		}, []string{"libpango"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, home := newFake(t), t.TempDir()
			c.spoil(f)
			_, err := Setup(t.Context(), home, ManagedManim, nil)
			wantProblem(t, err, c.words...)
			wantTidy(t, home)
			if _, err := os.Stat(releases[0].folder(home)); err == nil {
				t.Error("a broken environment was put in place")
			}
		})
	}
}

func TestSetupCanceled(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.write("pip", "echo 'Collecting numpy==1'; sleep 60 & sleep 60")
	start := time.Now()
	_, err := Setup(ctx, home, ManagedManim, func(line string) {
		if strings.Contains(line, "numpy") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want that of the cancel", err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
	wantTidy(t, home)
}

func TestSetupRemovesWhatWasLeft(t *testing.T) {
	newFake(t)
	home := t.TempDir()
	old, young := releases[0].unfinished(home), releases[0].unfinished(home)
	for _, d := range []string{old, young} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-staleAfter - time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	removeUnfinished(home)
	if _, err := os.Stat(old); err == nil {
		t.Error("an abandoned environment was kept")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("an environment that may be in the making was removed")
	}
}

func TestMoveScriptsKeepsLengths(t *testing.T) {
	home := t.TempDir()
	from, to := releases[0].unfinished(home), releases[0].folder(home)
	if len(from) != len(to) {
		t.Fatalf("%s and %s differ in length", from, to)
	}
	bin := filepath.Dir(interpreterIn(from))
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	launcher := "MZ\x00\xff#!" + from + "\r\nPK\x03\x04"
	if err := os.WriteFile(filepath.Join(bin, "manim"), []byte(launcher), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(moveScripts(from, to), replace(from, to)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(interpreterIn(to)), "manim")
	b, err := os.ReadFile(name)
	if want := strings.ReplaceAll(launcher, from, to); err != nil || string(b) != want {
		t.Errorf("launcher is %q, %v; want %q", b, err, want)
	}
	if info, err := os.Stat(name); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o700) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestSetupOutlastsPowerCut: the receipt is written when all that it speaks for is
// on the disk.
func TestSetupOutlastsPowerCut(t *testing.T) {
	newFake(t)
	home := t.TempDir()
	final := releases[0].folder(home)
	fail := errors.New("the disk is broken")
	t.Cleanup(func() { persist = persistTree })
	persist = func(prefix string) error {
		if _, err := os.Stat(filepath.Join(prefix, "receipt.json")); err == nil {
			t.Error("the receipt was written first")
		}
		script, err := os.ReadFile(filepath.Join(prefix, "bin", "manim"))
		if want := "#!" + interpreterIn(final); err != nil || firstLine(script) != want {
			t.Errorf("the manim command starts %q, %v; want %q: it is written again later", firstLine(script), err, want)
		}
		return errors.Join(persistTree(prefix), fail)
	}
	if _, err := Setup(t.Context(), home, ManagedManim, nil); !errors.Is(err, fail) {
		t.Errorf("error %v; want that of the disk", err)
	}
	if _, err := os.Stat(final); err == nil {
		t.Error("an environment that may not last was put in place")
	}
	wantTidy(t, home)
	fail = nil
	if _, err := Setup(t.Context(), home, ManagedManim, nil); err != nil {
		t.Error(err)
	}
}

// TestReplaceKeepsTheOld: what cannot be put in place takes nothing away.
func TestReplaceKeepsTheOld(t *testing.T) {
	home := t.TempDir()
	to := releases[0].folder(home)
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "receipt.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(releases[0].unfinished(home), to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("replaced by a folder that is not there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(to, "receipt.json")); err != nil {
		t.Errorf("the old environment is lost: %v", err)
	}
	wantTidy(t, home)
}

// TestSetupsTakeTurns: of setups at the same time one works, and the others return
// what it made.
func TestSetupsTakeTurns(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	prefix := releases[0].folder(home)
	if err := os.MkdirAll(prefix, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(prefix, "receipt.json"), []byte(`{"lock": "older"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var setups sync.WaitGroup
	for range 3 {
		setups.Go(func() {
			if _, err := Setup(t.Context(), home, ManagedManim, nil); err != nil {
				t.Error(err)
			}
		})
	}
	setups.Wait()
	if n := f.ran("-m pip"); n != 2 {
		t.Errorf("pip ran %d times; want the 2 of one setup", n)
	}
	wantTidy(t, home)
}

// TestSetupWaits: a setup that waits for another says so and can be stopped.
func TestSetupWaits(t *testing.T) {
	newFake(t)
	home := t.TempDir()
	unlock, err := releases[0].lockSetup(t.Context(), home, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = Setup(ctx, home, ManagedManim, func(line string) {
		if strings.Contains(line, "Another setup") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want that of the cancel", err)
	}
}

// TestSetupBesideOthers: each version of Manim has an environment of its own, and
// the newest is the first.
func TestSetupBesideOthers(t *testing.T) {
	f, home := newFake(t), t.TempDir()
	for _, version := range []string{"0.19.0", ManagedManim, "0.21.0"} {
		f.probe(with("components", map[string]string{"manim": version}))
		e, err := Setup(t.Context(), home, version, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(home, "environments", "manim-"+version, "bin", "python"); e.Python != want || e.Manim != version {
			t.Errorf("set up Manim %s at %s; want %s", e.Manim, e.Python, want)
		}
	}
	found, err := Find(t.Context(), home, "")
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, e := range found {
		versions = append(versions, e.Manim)
	}
	if want := []string{ManagedManim, "0.21.0", "0.19.0"}; !slices.Equal(versions, want) {
		t.Errorf("found %v; want %v", versions, want)
	}
	if given, err := Find(t.Context(), home, f.python()); err != nil || len(given) != 4 || given[0].Origin != Given {
		t.Errorf("found %+v, %v; want the one that was named first", given, err)
	}

	if err := os.WriteFile(found[1].Python, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if left, err := Find(t.Context(), home, ""); err != nil || len(left) != 2 {
		t.Errorf("found %+v, %v; want the two that work", left, err)
	}
	broken := check(t, slices.DeleteFunc(Doctor(t.Context(), home, "", Sandbox{}), func(c Check) bool { return c.Status == OK }), "manim")
	if !strings.Contains(broken.Do, "meshnode setup --manim 0.21.0") {
		t.Errorf("doctor says %+v of the broken one", broken)
	}
}

func TestSetupKnowsItsVersions(t *testing.T) {
	newFake(t)
	_, err := Setup(t.Context(), t.TempDir(), "0.18.1", nil)
	if err == nil || !strings.Contains(err.Error(), "choose one of 0.22.0, 0.21.0, 0.20.1, 0.19.0") {
		t.Errorf("error %v", err)
	}
}

// TestLocks checks that nothing can be installed that is not pinned and hashed,
// and that each lock is of the version that it is named for.
func TestLocks(t *testing.T) {
	checkLock(t, "build", buildLock())
	for _, r := range releases {
		checkLock(t, r.manim, r.lock())
		if !strings.Contains(string(r.lock()), "\nmanim=="+r.manim+" ") {
			t.Errorf("the lock of Manim %s is of another", r.manim)
		}
		if m := regexp.MustCompile(`\npillow==(\d+)`).FindStringSubmatch(string(r.lock())); m == nil || m[1] != "12" {
			t.Errorf("the lock of Manim %s has Pillow %v; 13 breaks image mobjects", r.manim, m)
		}
	}
}

func checkLock(t *testing.T, name string, lock []byte) {
	pin := regexp.MustCompile(`^[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\$`)
	hash := regexp.MustCompile(`^    --hash=sha256:[0-9a-f]{64}( \\)?$`)
	hashes := 1
	for line := range strings.Lines(string(lock)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case pin.MatchString(line):
			if hashes == 0 {
				t.Errorf("%s: no hash before %q", name, line)
			}
			hashes = 0
		case hash.MatchString(line):
			hashes++
		default:
			t.Errorf("%s: what is %q", name, line)
		}
	}
}
