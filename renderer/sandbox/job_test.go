// SPDX-License-Identifier: MIT

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

// testJob is what the tests run inside: one small job for each name.
func testJob(name string, args []string) int {
	job, ok := jobsByName[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no test job %q\n", name)
		return 2
	}
	if err := job(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type testJobs map[string]func(args []string) error

// jobsByName is filled by init functions, as jobs start each other.
var jobsByName = make(testJobs)

func init() {
	maps.Copy(jobsByName, testJobs{
		"echo": echoJob, "copy": copyJob, "spin": spinJob, "print": printJob,
		"family": familyJob, "leave": leaveJob, "sleep": sleepJob, "node": nodeJob,
	})
}

// echoJob copies lines.
func echoJob([]string) error {
	fmt.Fprintln(os.Stderr, "echo starts")
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// copyJob waits for a line that names a file and hands the file back.
func copyJob([]string) error {
	text, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	name := filepath.Join(os.Getenv("IN"), text[:len(text)-1])
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+"_", content, 0o600); err != nil { // as Manim does
		return err
	}
	return os.WriteFile(filepath.Join(os.Getenv("OUT"), "result"), content, 0o600)
}

func spinJob([]string) error {
	for i := 0; ; i++ {
		if i < 0 {
			return nil
		}
	}
}

// printJob prints that many MiB.
func printJob(args []string) error {
	n, _ := strconv.Atoi(args[0])
	line := make([]byte, 1<<16)
	for range n << 4 {
		os.Stderr.Write(line)
	}
	return nil
}

// familyJob starts children and grandchildren that ignore signals.
func familyJob(args []string) error {
	depth, _ := strconv.Atoi(args[1])
	for range 2 {
		if depth == 0 {
			break
		}
		if err := startSelf("family", args[0], strconv.Itoa(depth-1)); err != nil {
			return err
		}
	}
	signal.Ignore()
	fmt.Println("ready")
	return sleepJob(args)
}

// leaveJob starts two families, and ends with its input.
func leaveJob(args []string) error {
	for range 2 {
		if err := startSelf("family", args[0], "1"); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func sleepJob([]string) error {
	for {
		time.Sleep(time.Hour)
	}
}

func startSelf(job ...string) error {
	cmd := exec.Command(os.Args[0], append([]string{testStage}, job...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Start()
}

// nodeJob is no job but a node, to be killed: it starts a family in a tier.
func nodeJob(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	spec := Spec{Argv: []string{self, testStage, "family", args[1], "2"}, Limits: DefaultLimits(), Scratch: args[2]}
	p, err := startTestBox(context.Background(), Tier(args[0]), spec, self)
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, p.Stdout())
	return errors.Join(err, p.Wait().Err())
}
