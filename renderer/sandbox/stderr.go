// SPDX-License-Identifier: MIT

package sandbox

import (
	"io"
	"sync"
)

// tailSize is how much of what a job prints is kept, in bytes.
const tailSize = 64 << 10

// tail keeps the end of what is written to it. The zero value is ready.
type tail struct {
	mu   sync.Mutex
	text []byte
	full int64 // bytes written in all
}

// add appends and returns how much was written in all.
func (t *tail) add(p []byte) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.full += int64(len(p))
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailSize { // move rarely, not at each write
		t.text = append(t.text[:0], t.text[len(t.text)-tailSize:]...)
	}
	return t.full
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.text[max(0, len(t.text)-tailSize):]...)
}

// drain reads the job's stderr to its end, so that the job never blocks on it,
// and calls over once if there is more than limit.
func (t *tail) drain(r io.Reader, copyTo io.Writer, limit int64, over func()) {
	buf := make([]byte, 32<<10)
	told := false
	for {
		n, err := r.Read(buf)
		if t.add(buf[:n]) > limit && !told {
			told = true
			over()
		}
		if copyTo != nil && n > 0 && !told {
			if _, err := copyTo.Write(buf[:n]); err != nil {
				copyTo = nil // a reader who left is no reason to stop the job
			}
		}
		if err != nil {
			return
		}
	}
}
