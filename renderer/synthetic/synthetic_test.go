// SPDX-License-Identifier: MIT

package synthetic_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/renderertest"
	"meshnode/renderer/synthetic"
)

func TestConformance(t *testing.T) {
	renderertest.Run(t, renderertest.Subject{
		New: func(t *testing.T) renderer.Renderer { return &synthetic.Renderer{Scratch: t.TempDir()} },
		Scene: func(t *testing.T, dir string) ([]string, uint32) {
			write(t, dir, "note.txt", []byte("seen by every cell"))
			return scene(t, dir, synthetic.Scene{Name: "Demo", FPS: 15, Plays: []job.Play{{Frames: 20}, {Frames: 7}}, Bytes: 5000, Assets: []string{"note.txt"}}), 5
		},
		Broken: func(t *testing.T, dir string) []string {
			return scene(t, dir, synthetic.Scene{Name: "Broken", FPS: 15, Error: "it broke"})
		},
		Limit: time.Minute,
	})
}

func scene(t *testing.T, dir string, s synthetic.Scene) []string {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "scene.json", text)
	return []string{"scene.json"}
}

func write(t *testing.T, dir, name string, data []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
