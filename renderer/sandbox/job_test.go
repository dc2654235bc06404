// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// testJob is what the tests run inside: one small job for each name.
func testJob(name string, args []string) int {
	if err := runTestJob(name, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runTestJob(name string, args []string) error {
	in, out := os.Getenv("IN"), os.Getenv("OUT")
	switch name {
	case "echo": // lines in, lines out
		fmt.Fprintln(os.Stderr, "echo starts")
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case "copy": // waits for a line that names a file, hands it back
		text, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return err
		}
		name := text[:len(text)-1]
		data, err := os.ReadFile(filepath.Join(in, name))
		if err != nil {
			return err
		}
		// Manim writes beside its sources.
		if err := os.WriteFile(filepath.Join(in, name+"_"), data, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, "result"), data, 0o600); err != nil {
			return err
		}
		_, err = fmt.Println("done")
		return err
	}
	return fmt.Errorf("no test job %q", name)
}
