// SPDX-License-Identifier: MIT

package environment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// cached is the file that holds what a probe found.
type cached struct {
	Probe       string          `json:"probe"` // hash of the script that asked
	CPU         string          `json:"cpu"`
	Watched     map[string]mark `json:"watched"`
	Environment Environment     `json:"environment"`
}

// mark tells whether a file or folder changed; zero: it does not exist.
type mark struct {
	Time int64 `json:"time"` // modification, Unix nanoseconds
	Size int64 `json:"size"` // bytes
}

func markOf(path string) mark {
	info, err := os.Stat(path)
	if err != nil {
		return mark{}
	}
	return mark{info.ModTime().UnixNano(), info.Size()}
}

// folder is where everything of this package lies.
func folder(home string) string { return filepath.Join(home, "environments") }

func cacheFile(home, python string) string {
	return filepath.Join(folder(home), "probe-"+shortHash(python)+".json")
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// readCache returns nil when nothing is known or something changed since.
func readCache(home, python string) *Environment {
	b, err := os.ReadFile(cacheFile(home, python))
	if err != nil {
		return nil
	}
	var c cached
	if json.Unmarshal(b, &c) != nil || c.Probe != shortHash(probeScript) || c.CPU != cpu() || c.Environment.Python != python {
		return nil
	}
	for path, was := range c.Watched {
		if markOf(path) != was {
			return nil
		}
	}
	return &c.Environment
}

// writeCache is for speed only: a failure costs the next caller a second.
func writeCache(home string, e *Environment, watched []string) {
	c := cached{Probe: shortHash(probeScript), CPU: cpu(), Watched: make(map[string]mark), Environment: *e}
	for _, p := range watched {
		c.Watched[p] = markOf(p)
	}
	_ = writeJSON(cacheFile(home, e.Python), c)
}

// writeJSON writes, syncs and renames, so that readers see all of it or nothing.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".write-")
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("environment: write %s: %w", path, err)
	}
	return nil
}

// cpu identifies the processor's kind: numpy, OpenBLAS and x264 choose their
// code by it, and a home may move to another machine.
func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	first, _, _ := strings.Cut(string(b), "\n\n")
	var kept []string
	for line := range strings.Lines(first) {
		name, _, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "flags", "Features", "CPU implementer", "CPU part":
			kept = append(kept, line)
		}
	}
	return shortHash(runtime.GOARCH + strings.Join(kept, ""))
}
