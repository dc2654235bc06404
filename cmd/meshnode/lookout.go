// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Times of a lookout.
const (
	lookEvery  = 100 * time.Millisecond // between two looks; longer if a look takes long
	lookShare  = 20                     // a look takes at most one part of so many
	settleTime = time.Second            // for a file to come to rest that is being replaced
	maxWatched = 20_000                 // files
)

// lookout knows the files that a film depends on, and tells when one has changed. It
// looks at them again and again: that works on every file system, also on those of
// other computers, and whatever way an editor has to save.
type lookout struct {
	mu    sync.Mutex // guards what follows
	files map[string]os.FileInfo
	since time.Time           // of the looks in files
	names map[string][]string // of what is in the folders of these files; nil: new files do not matter
	moved map[string]bool     // changed before they were known
}

// newLookout returns one for files that always matter, whether they are there or not.
func newLookout(paths ...string) *lookout {
	l := &lookout{files: make(map[string]os.FileInfo), moved: make(map[string]bool)}
	for _, path := range paths {
		l.files[path] = nil
	}
	l.begin()
	return l
}

// begin takes the files as they are now for those that the next film is made of.
func (l *lookout) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	clear(l.moved)
	for path := range l.files {
		l.files[path] = lookAt(path)
	}
	l.names = nil
}

// add takes in files that the film turns out to depend on.
func (l *lookout) add(paths []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range paths {
		if _, known := l.files[path]; known || len(l.files) >= maxWatched {
			continue
		}
		info := lookAt(path)
		l.files[path] = info
		if info != nil && info.ModTime().After(l.since) { // since it was read, for all that is known
			l.moved[path] = true
		}
	}
}

// expect has files matter that are not there yet: a scene has failed that may need
// them. They are looked for beside those that it has read.
func (l *lookout) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = make(map[string][]string)
	for path := range l.files {
		dir := filepath.Dir(path)
		if _, known := l.names[dir]; !known {
			l.names[dir] = namesIn(dir)
		}
	}
}

// count returns how many files there are.
func (l *lookout) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, info := range l.files {
		if info != nil {
			n++
		}
	}
	return n
}

// wait returns the files that have changed, sorted, when they have come to rest; none
// when ctx ends.
func (l *lookout) wait(ctx context.Context) []string {
	for {
		begun := time.Now()
		if changed := l.changed(); len(changed) > 0 {
			return l.settled(ctx)
		}
		if !pause(ctx, max(lookEvery, lookShare*time.Since(begun))) {
			return nil
		}
	}
}

// settled waits until two looks find the same, and every file there that was before:
// editors write in parts, or put a new file into the place of the old one.
func (l *lookout) settled(ctx context.Context) []string {
	before := l.look()
	for until := time.Now().Add(settleTime); pause(ctx, lookEvery/2); {
		now := l.look()
		quiet := maps.EqualFunc(before, now, sameFile)
		if quiet && (!l.misses(now) || time.Now().After(until)) {
			return l.changed()
		}
		before = now
	}
	return nil
}

// changed returns the files that are not as they were when the film was begun.
func (l *lookout) changed() (paths []string) {
	now := l.look()
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, info := range now {
		if l.moved[path] || !sameFile(l.files[path], info) {
			paths = append(paths, path)
		}
	}
	for dir, before := range l.names {
		for _, name := range namesIn(dir) {
			if path := filepath.Join(dir, name); !slices.Contains(before, name) && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// look returns all files as they are now.
func (l *lookout) look() map[string]os.FileInfo {
	l.mu.Lock()
	paths := slices.Collect(maps.Keys(l.files))
	l.mu.Unlock()
	now := make(map[string]os.FileInfo, len(paths))
	for _, path := range paths {
		now[path] = lookAt(path)
	}
	return now
}

// misses reports whether a file that was there is not.
func (l *lookout) misses(now map[string]os.FileInfo) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, info := range now {
		if info == nil && l.files[path] != nil {
			return true
		}
	}
	return false
}

// lookAt returns what a path is now, nil if there is nothing.
func lookAt(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// sameFile reports whether a path has the same contents in all likelihood.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// namesIn returns what is in a folder, but for what editors and Python leave there.
func namesIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if name[0] != '.' && name[0] != '#' && name != "__pycache__" && name != "media" && !strings.HasSuffix(name, "~") && filepath.Ext(name) != ".tmp" {
			names = append(names, name)
		}
	}
	return names
}

// pause waits, and reports whether it was not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
