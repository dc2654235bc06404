// SPDX-License-Identifier: MIT

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// A bundle takes the place of another file when it is whole, and not before; nobody else
// may read it, whoever might read that one.
func TestWriteBundle(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "job.tar.gz")
	if err := os.WriteFile(name, []byte("earlier"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the node is gone")
	for _, test := range []struct {
		from io.Reader
		err  error
		want string
	}{
		{io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), broken, "earlier"},
		{strings.NewReader("whole"), nil, "whole"},
	} {
		if err := writeBundle(name, test.from); !errors.Is(err, test.err) {
			t.Errorf("%q: error %v", test.want, err)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != test.want {
			t.Errorf("there is %q (%v), want %q", data, err, test.want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%q: left are %v (%v)", test.want, left, err)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("who may read it: %v", info.Mode())
	}
	if err := writeBundle(dir, strings.NewReader("whole")); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("over a folder: %v", err)
	}
}

// A bundle comes from somebody else, and may say next to nothing of itself.
func TestReplayOfABareBundle(t *testing.T) {
	var file bytes.Buffer
	zip := gzip.NewWriter(&file)
	out := tar.NewWriter(zip)
	err := out.WriteHeader(&tar.Header{Name: "about.json", Size: 2, Mode: 0o600})
	if err == nil {
		_, err = out.Write([]byte("{}"))
	}
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err = errors.Join(err, out.Close(), zip.Close(), os.WriteFile(name, file.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"replay", name}, &stdout, &stderr); code != 0 || !strings.HasSuffix(stderr.String(), ": 0 steps\n") {
		t.Errorf("exit code %d, prints %q", code, &stderr)
	}
}
