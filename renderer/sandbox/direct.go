// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// directBox is a plain process in a process group of its own.
type directBox struct {
	cmd     *exec.Cmd
	group   *group
	scratch string
}

func startDirect(ctx context.Context, spec Spec) (*Proc, error) {
	dirs, err := makeDirs(spec.Scratch)
	if err != nil {
		return nil, fmt.Errorf("sandbox: no scratch folder: %w", err)
	}
	in, out, err := openRoots(dirs)
	if err != nil {
		return nil, fmt.Errorf("sandbox: no scratch folder: %w", err)
	}
	abandon := func() {
		in.Close()
		out.Close()
		os.RemoveAll(spec.Scratch)
	}
	std, err := openPipes()
	if err != nil {
		abandon()
		return nil, err
	}
	cmd := &exec.Cmd{Path: spec.Argv[0], Args: spec.Argv, Env: spec.Env, Dir: spec.Dir, SysProcAttr: groupAttr()}
	if cmd.Dir == "" {
		cmd.Dir = dirs.Tmp
	}
	std.attach(cmd)
	if err := onStarter(cmd.Start); err != nil {
		std.close()
		abandon()
		return nil, fmt.Errorf("sandbox: job not started: %w", err)
	}
	std.release()
	group, err := newGroup(cmd.Process)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		std.close()
		abandon()
		return nil, fmt.Errorf("sandbox: job not started: %w", err)
	}
	return newProc(ctx, spec, dirs, in, out, std, &directBox{cmd, group, spec.Scratch}), nil
}

func (b *directBox) kill() { b.group.kill() }

// wait ends the rest of the group with its first process: a Direct job may not
// leave anything behind either. What left the group is the owner's own doing.
func (b *directBox) wait() *os.ProcessState {
	b.cmd.Wait()
	for range 20 {
		if !b.group.kill() {
			break
		}
		time.Sleep(5 * time.Millisecond) // the rest is dying; nothing tells us when
	}
	return b.cmd.ProcessState
}

func (b *directBox) give(context.Context) error { return nil }
func (b *directBox) giveFiles([]string) error   { return nil }

// lower does nothing: the user's own jobs are as urgent as the user.
func (b *directBox) lower() {}

func (b *directBox) watch(func(error), <-chan struct{}) {}

func (b *directBox) free() error {
	b.group.close()
	return os.RemoveAll(b.scratch)
}

// dirsIn are the folders of a job that has them on the host.
func dirsIn(scratch string) Dirs {
	return Dirs{filepath.Join(scratch, "in"), filepath.Join(scratch, "out"), filepath.Join(scratch, "tmp")}
}

func makeDirs(scratch string) (Dirs, error) {
	d := dirsIn(scratch)
	for _, dir := range []string{d.In, d.Out, d.Tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return d, err
		}
	}
	return d, nil
}

func openRoots(d Dirs) (in, out *os.Root, err error) {
	if in, err = os.OpenRoot(d.In); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenRoot(d.Out); err != nil {
		in.Close()
	}
	return in, out, err
}
