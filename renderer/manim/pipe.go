// SPDX-License-Identifier: MIT

package manim

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"meshnode/renderer"
)

// Limits of the engine protocol.
const (
	messageLimit = 1 << 20          // bytes of a message
	saidLimit    = 64 << 20         // bytes of all messages of a Foreign engine: they tell of its cells, 200 bytes each
	textLimit    = 16 << 10         // bytes of a text for people; the end is kept
	writeTime    = 30 * time.Second // for an engine to take a message
)

// pipe carries messages to and from an engine: JSON objects, each behind its
// length in four bytes, big-endian. What an engine says is untrusted: a scene
// can forge it.
type pipe struct {
	r    io.Reader
	w    io.Writer
	m    sync.Mutex // guards w: one message at a time
	left int64      // bytes that may yet be received; 0: no bound
}

// send writes one message. When it cannot be written, the engine is of no use any more:
// that is a renderer.ErrEnded.
func (p *pipe) send(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("manim: engine message: %w", err)
	}
	if len(body) > messageLimit {
		return fmt.Errorf("manim: engine message of %d bytes, at most %d allowed", len(body), messageLimit)
	}
	p.m.Lock()
	defer p.m.Unlock()
	if w, ok := p.w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		w.SetWriteDeadline(time.Now().Add(writeTime)) // a scene may have stopped it
	}
	if _, err := p.w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		return fmt.Errorf("%w: write to it: %w", renderer.ErrEnded, err)
	}
	return nil
}

// receive reads one message. io.EOF: the engine has closed its side.
func (p *pipe) receive() (*message, error) {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > messageLimit {
		return nil, fmt.Errorf("manim: engine message of %d bytes, at most %d allowed", n, messageLimit)
	}
	if p.left > 0 {
		if p.left -= int64(len(head)) + int64(n); p.left <= 0 {
			return nil, fmt.Errorf("manim: the engine has said more than %d MiB", saidLimit>>20)
		}
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return nil, err
	}
	m := new(message)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("manim: engine message: %w", err)
	}
	return m, nil
}

// clip returns the end of a text that may be too long.
func clip(text string) string {
	return strings.ToValidUTF8(text[max(0, len(text)-textLimit):], "")
}

// message is any message from an engine; docs/engine.md says which fields each
// kind has.
type message struct {
	Kind string `json:"t"`

	// hello
	Version  int    `json:"v"`
	Manim    string `json:"manim"`
	HashSeed string `json:"hash_seed"`

	// play
	Frames uint32 `json:"frames"`
	Frozen bool   `json:"frozen"`
	Name   string `json:"name"`

	// play: seconds. Also of plan: the walk.
	Walk     float64 `json:"walk"`
	Outlines float64 `json:"outlines"`

	// files: pairs of path in the set and source. cell: pairs of name and bytes.
	// finished: paths.
	Files json.RawMessage `json:"files"`

	// plan
	Scene      string          `json:"scene"`
	Spec       json.RawMessage `json:"spec"` // of hello: its version
	FPS        float64         `json:"fps"`
	Width      uint32          `json:"width"`
	Height     uint32          `json:"height"`
	CellFrames uint32          `json:"cell_frames"`
	What       string          `json:"kind"`    // video, images, still
	Headers    string          `json:"headers"` // hash of those of every cell; "": they have none
	Warnings   []string        `json:"warnings"`
	Stream     bool            `json:"stream"`
	Sound      bool            `json:"sound"`
	Preview    bool            `json:"preview"`
	Inputs     string          `json:"inputs"` // hash of what cells without a key depend on beside the files; "": there are no keys

	// keys: of the next cells, "" for those without one
	Keys []string `json:"keys"`

	Root    string  `json:"root"`
	Derived *uint64 `json:"derived"`

	// plan: name and version of each
	Packages [][2]string `json:"packages"`

	// read: absolute
	Paths []string `json:"paths"`
	// need
	Path string `json:"path"`
	// scenes
	Scenes []string `json:"scenes"`
	Choose bool     `json:"choose"`

	// cell, cell_error
	Cell    *uint32 `json:"cell"`
	Seconds float64 `json:"seconds"`
	Raster  float64 `json:"raster"`
	Encode  float64 `json:"encode"`
	Reason  string  `json:"reason"`

	// note, restart, cell_error, scene_error, usage_error, error
	Text string `json:"text"`
}
