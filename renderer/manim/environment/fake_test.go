// SPDX-License-Identifier: MIT

package environment

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fake is a PATH with a scripted python3, so that every failure of a real one
// can be had. It needs a shell.
type fake struct {
	t   *testing.T
	dir string
}

// newFake returns a PATH on which all is well: Python 3.12, a compiler, and the
// libraries.
func newFake(t *testing.T) *fake {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fakes are shell scripts")
	}
	f := &fake{t, t.TempDir()}
	t.Setenv("PATH", f.dir)
	t.Setenv("CC", "")
	t.Setenv("PKG_CONFIG", "")
	f.write("python3", `#!/bin/sh
PATH=/usr/bin:/bin
F=`+f.dir+`
echo "$*" | head -n 1 >>$F/log
case "$*" in
*" -c "*) cat $F/base ;;
*"-m venv "*)
	for last; do :; done
	mkdir -p "$last/bin"
	cp $F/python3 "$last/bin/python"
	printf '#!%s/bin/python\nrun manim\n' "$last" >"$last/bin/manim" ;;
*"-m pip "*) . $F/pip ;;
*) . $F/probe ;;
esac
`)
	f.base(12, `"venv": true, "headers": true`)
	f.write("pip", "echo 'Collecting numpy==2.4.6 (from -r requirements.txt)'; echo 'Installing collected packages: numpy'")
	f.probe(goodProbe())
	f.write("cc", "#!/bin/sh\n")
	f.write("pkg-config", "#!/bin/sh\n")
	return f
}

func (f *fake) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o755); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// base sets what python3 says of itself.
func (f *fake) base(minor int, rest string) {
	b, _ := json.Marshal(minor)
	f.write("base", `{"python": "`+f.python()+`", "major": 3, "minor": `+string(b)+`, "bits": 64, `+rest+`}`)
}

// probe sets what the probe script answers.
func (f *fake) probe(r map[string]any) {
	b, err := json.Marshal(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("answer", string(b))
	f.write("probe", "cat $F/answer")
}

func (f *fake) python() string { return filepath.Join(f.dir, "python3") }

// ran returns how often python3 was started with those words in its arguments.
func (f *fake) ran(words string) int {
	b, err := os.ReadFile(filepath.Join(f.dir, "log"))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), words)
}

func goodProbe() map[string]any {
	return map[string]any{
		"implementation": "cpython", "version": "3.12.3", "bits": 64,
		"prefixes":   []string{"/opt/env", "/opt/base"},
		"paths":      []string{"/opt/base/lib", "/opt/env/lib", "/opt/plugins"},
		"sites":      []string{},
		"components": map[string]string{"manim": "0.22.0", "numpy": "2.4.6", "pillow": "12.3.0", "av": "18.1.0", "x264": "165"},
		"libraries":  []string{"/opt/base/lib/libpython.so", "/opt/blas/libopenblas.so"},
		"fonts":      3, "images": true,
	}
}

// with returns a probe's answer with one key changed.
func with(key string, value any) map[string]any {
	r := goodProbe()
	r[key] = value
	return r
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return string(line)
}

// wantProblem checks that err says both what is wrong and what to do.
func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q lacks %q", err, w)
		}
	}
}
