// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// maxTyped bounds a script from standard input, in bytes.
const maxTyped = 1 << 20

// typedScript reads a script from standard input.
func typedScript(ctx context.Context, in io.Reader, prompt io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintln(prompt, "Type the script, and end it with an end of file (Ctrl-D):")
	}
	var text []byte
	var err error
	typed := make(chan struct{})
	go func() { // ends with the input, or with the process
		defer close(typed)
		text, err = io.ReadAll(io.LimitReader(in, maxTyped+1))
	}()
	select {
	case <-typed:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("read the script from standard input: %w", err)
	case len(text) > maxTyped:
		return "", usagef("the script on standard input is longer than %s: save it to a file", bytesText(maxTyped))
	}
	return string(text), nil
}

// choiceError is a command line that does not say which of a script's scenes it
// means.
type choiceError struct {
	usageError
	scenes []string
}

func (e *choiceError) Unwrap() error { return &e.usageError }

// choose asks which scenes are meant, as Manim does: numbers with commas between
// them, or "*".
func choose(ctx context.Context, in io.Reader, out io.Writer, scenes []string) ([]string, error) {
	for i, name := range scenes {
		fmt.Fprintf(out, "%d: %s\n", i+1, oneLine(name))
	}
	fmt.Fprint(out, "Which scenes? Numbers with commas between them, or * for all: ")
	answer := make(chan string, 1)
	go func() { // ends with an answer, or with the process
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			line = ""
		}
		answer <- strings.TrimSpace(line)
	}()
	var typed string
	select {
	case typed = <-answer:
	case <-ctx.Done():
		fmt.Fprintln(out)
		return nil, context.Cause(ctx)
	}
	if typed == "" {
		fmt.Fprintln(out)
		return nil, usagef("no scene was chosen: name one, or give --write_all for all")
	}
	if typed == "*" {
		return scenes, nil
	}
	var chosen []string
	for part := range strings.SplitSeq(typed, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > len(scenes) {
			return nil, usagef("%q is none of the numbers 1 to %d", strings.TrimSpace(part), len(scenes))
		}
		chosen = append(chosen, scenes[n-1])
	}
	return chosen, nil
}
