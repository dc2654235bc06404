// SPDX-License-Identifier: MIT

package environment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// adoptedList is the file that names the adopted interpreters, the last adopted
// first.
type adoptedList struct {
	Pythons []string `json:"pythons"`
}

func adoptedFile(home string) string { return filepath.Join(folder(home), "adopted.json") }

// Adopt checks the user's own Python, a path or a name on PATH, and remembers it
// under home, before any adopted earlier. Nothing of it is changed. To forget
// it, remove its line from environments/adopted.json.
func Adopt(ctx context.Context, home, python string) (*Environment, error) {
	if found, err := exec.LookPath(python); err == nil {
		python = found
	}
	// A launcher, such as pyenv's, is no interpreter: it chooses by the folder it
	// is called in, and a sandbox cannot follow it.
	if b, err := askBase(ctx, python); err == nil {
		python = b.Python
	}
	python, err := filepath.Abs(python)
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	e, err := examine(ctx, home, python, Adopted)
	if err != nil {
		return nil, err
	}
	known, err := adoptedPythons(home)
	if err != nil {
		return nil, err
	}
	known = slices.DeleteFunc(known, func(p string) bool { return p == python })
	if err := writeJSON(adoptedFile(home), adoptedList{slices.Insert(known, 0, python)}); err != nil {
		return nil, err
	}
	return e, nil
}

func adoptedPythons(home string) ([]string, error) {
	b, err := os.ReadFile(adoptedFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list adoptedList
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		return nil, &Problem{What: "the list of adopted Pythons cannot be read", Err: err, Do: "remove " + adoptedFile(home)}
	}
	return list.Pythons, nil
}
