// SPDX-License-Identifier: MIT

package manim

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"meshnode/job"
	"meshnode/renderer"
)

// framed puts lengths before messages.
func framed(messages ...string) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(m))), m...)
	}
	return b
}

// FuzzEngineLine: whatever the engine of another's scene, or of one's own while it is
// planned, says, of which some cells were asked for, it is taken or ends the engine, and
// each cell has one answer at most.
func FuzzEngineLine(f *testing.F) {
	f.Add(framed(`{"t":"cell","cell":0,"files":[["0.mp4",1234]],"frames":60,"seconds":0.5,"walk":0.1,"raster":0.2,"encode":0.2}`))
	f.Add(framed(`{"t":"cell_error","cell":1,"reason":"scene","text":"Traceback"}`, `{"t":"cell_error","cell":2,"reason":"memory","text":""}`))
	f.Add(framed(`{"t":"note","text":"one line"}`, `{"t":"checked","reason":"","text":""}`, `{"t":"need","path":"data/points.csv"}`))
	f.Add(framed(`{"t":"plan","scene":"A","spec":"{}","plays":1,"fps":60}`, `{"t":"play","frames":60}`, `{"t":"files","files":[["a","b"]]}`, `{"t":"restart","text":""}`))
	f.Add(framed(`{"t":"scenes","scenes":["A","B"],"choose":true}`, `{"t":"finished","files":["/a.mp4"]}`, `{"t":"error","text":"x"}`))
	f.Add(framed(`{"t":"scene_error","text":"x"}`, `{"t":"usage_error","text":"x"}`, `{"t":"changed","text":"x"}`, `{"t":"hello","v":1}`))
	f.Add(framed(`{"t":"read","paths":["/a/scene.py"]}`, `{"t":"play","frames":60,"frozen":true,"name":"Wait","walk":0.5}`,
		`{"t":"keys","keys":["","`+strings.Repeat("0f", 32)+`"]}`, `{"t":"plan","scene":"A","spec":"{}","fps":60,"packages":[["numpy","2.4"]]}`))
	f.Add([]byte{255, 255, 255, 255, '{'})
	f.Fuzz(func(t *testing.T, said []byte) {
		listen(t, said, &engine{trust: renderer.Foreign})
		p := &planning{done: make(chan error, 1)}
		listen(t, said, &engine{trust: renderer.Own, planning: p})
		if len(p.plan.Plays) > job.MaxPlays || len(p.plan.Keys) > job.MaxCells {
			t.Errorf("a plan of %d plays and %d keys", len(p.plan.Plays), len(p.plan.Keys))
		}
	})
}

// listen has a node hear what its engine says, while it waits for four cells.
func listen(t *testing.T, said []byte, e *engine) {
	h := &hub{
		pipe: pipe{r: bytes.NewReader(said)}, done: make(chan struct{}), film: make(chan filmResult, 1), check: make(chan error, 1),
		cells: make(map[uint32]*waiting), early: make(map[uint32]cellResult),
	}
	e.hub = h
	asked := make(map[uint32]*waiting)
	for cell := range uint32(4) {
		asked[cell] = &waiting{make(chan cellResult, 1)}
		h.cells[cell] = asked[cell]
	}
	for {
		m, err := h.pipe.receive()
		if err != nil || e.heed(h, m) != nil {
			break
		}
	}
	if e.trust == renderer.Foreign && len(h.early) > 0 {
		t.Errorf("%d cells are kept that nobody asked for", len(h.early))
	}
	for cell, w := range asked {
		select {
		case got := <-w.answer:
			if (got.out == nil) == (got.err == nil) {
				t.Errorf("cell %d: %+v, %v", cell, got.out, got.err)
			}
		default:
		}
	}
}

// The length is judged before anything is allocated for it.
func TestEngineLineLimit(t *testing.T) {
	p := pipe{r: strings.NewReader("\x00\x10\x00\x01{}")}
	if _, err := p.receive(); err == nil || !strings.Contains(err.Error(), "1048577 bytes") {
		t.Errorf("one byte too many: %v", err)
	}
}
