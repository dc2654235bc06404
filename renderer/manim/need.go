// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"meshnode/job"
	"meshnode/renderer"
)

// namesFile is the file of the set with the names of all that lies in the
// project: NAMES of late.py.
const namesFile = "names.json"

// Limits on what an engine's scene may ask for. A scene can forge its messages.
const (
	maxNeeds     = 1_000 // files of a job
	maxNeedsOnce = 8     // at a time; more wait
)

// readNames returns the files of the project that the plan has named and that
// are not hidden, as paths below its root. It is the user's own engine that has written them.
func readNames(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("manim: names: %w", err)
	}
	var rows [][3]any // path, bytes, time
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("manim: names: %w", err)
	}
	var files []string
	for _, row := range rows {
		if name, ok := row[0].(string); ok && !strings.HasSuffix(name, "/") && !strings.Contains("/"+name, "/.") {
			files = append(files, name)
		}
	}
	return files, nil
}

// lacks brings the files that an engine's scene has opened and that are not
// among the job's assets. Its goroutines end with end.
type lacks struct {
	mu      sync.Mutex // guards what follows
	missing renderer.Missing
	ctx     context.Context
	cancel  context.CancelFunc
	asked   int
	tasks   sync.WaitGroup
	slots   chan struct{}
}

func (l *lacks) begin(missing renderer.Missing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missing, l.slots = missing, make(chan struct{}, maxNeedsOnce)
	l.ctx, l.cancel = context.WithCancel(context.Background())
}

// end waits for what is being brought.
func (l *lacks) end() {
	l.mu.Lock()
	if l.cancel != nil {
		l.cancel()
	}
	l.missing = nil
	l.mu.Unlock()
	l.tasks.Wait()
}

// heedNeed answers a walker that has opened a file of the project of which only
// the name is here.
func (e *engine) heedNeed(h *hub, path string) error {
	if err := job.CheckPath(path); err != nil {
		return fmt.Errorf("manim: need: %w", err)
	}
	l := &e.lacks
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missing == nil {
		return errors.New("manim: need: not expected now")
	}
	if l.asked++; l.asked > maxNeeds {
		return fmt.Errorf("manim: need: more than %d files", maxNeeds)
	}
	ctx, missing := l.ctx, l.missing
	l.tasks.Go(func() {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-ctx.Done():
			return
		}
		answer := map[string]any{"t": "given", "path": path}
		at, err := missing(ctx, path)
		if err == nil {
			err = h.proc.GiveFiles([]string{at})
		}
		if err != nil {
			answer["error"], answer["final"] = err.Error(), errors.Is(err, renderer.ErrRefused)
		} else {
			answer["from"] = at
		}
		_ = h.send(answer) // else it has ended
	})
	return nil
}
