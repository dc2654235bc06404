// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Proc is a running job: one process and all that it starts. Its methods may be
// called from any goroutine.
type Proc struct {
	dirs    Dirs
	stdin   *os.File
	stdout  *os.File
	in, out *os.Root
	stderr  tail
	box     box

	done chan struct{} // closed when exit is set
	exit Exit

	stopCtx func() bool

	mu     sync.Mutex
	killed error

	closing sync.Once
}

// box is what differs between the tiers.
type box interface {
	kill()                          // ends every process of the job; at any time, repeatedly
	wait() *os.ProcessState         // returns when every process of the job is gone
	give(ctx context.Context) error // makes all that is in In the job's own
	giveFiles(names []string) error // so files in it, and the folders above them
	lower()                         // the priority of the first process
	watch(end func(error), done <-chan struct{})
	free() error // after wait: what is left on the host
}

// Exit is how a job ended.
type Exit struct {
	Code   int           // -1 if a signal ended it; Bwrap answers 128 + signal
	CPU    time.Duration // user and system time of the processes that were waited for inside
	Killed error         // why this side ended it; nil if it ended by itself
	Stderr []byte        // the last of what it printed, at most 64 KiB
}

// Err is nil if the job ended by itself with code 0.
func (e Exit) Err() error {
	if e.Killed != nil {
		return e.Killed
	}
	if e.Code != 0 {
		return fmt.Errorf("sandbox: job ended with code %d", e.Code)
	}
	return nil
}

// Dirs returns the job's folders as the job sees them.
func (p *Proc) Dirs() Dirs { return p.dirs }

// Stdin is a pipe to the job; closing it is the end of its input. Writes block
// while the job does not read; SetWriteDeadline bounds them.
func (p *Proc) Stdin() *os.File { return p.stdin }

// Stdout is a pipe from the job. What comes from it is untrusted. It is valid
// until Close; SetReadDeadline bounds reads.
func (p *Proc) Stdout() *os.File { return p.stdout }

// In is the job's folder of inputs, for writing. Call Give after filling it, and
// GiveFiles for what comes later.
// It is valid until Close, also after the job has ended.
func (p *Proc) In() *os.Root { return p.in }

// Out is the job's folder of results. Open files in it by renderer.OpenOutput
// only. It is valid until Close, also after the job has ended.
func (p *Proc) Out() *os.Root { return p.out }

// Give makes what the caller has put into In the job's own, so that it may
// write beside it. To be called before the job is told of the files, and before any
// code of a stranger runs in it: that could make In as deep as it likes.
func (p *Proc) Give(ctx context.Context) error {
	return notGiven(p.box.give(ctx))
}

// GiveFiles is Give for single files below In, and the folders above them. The job
// may be moving things about meanwhile.
func (p *Proc) GiveFiles(names []string) error {
	return notGiven(p.box.giveFiles(names))
}

func notGiven(err error) error {
	if err != nil {
		return fmt.Errorf("sandbox: inputs not given to the job: %w", err)
	}
	return nil
}

// Lower gives the job's first process, and all that it starts from now on, the
// lowest priority of processor and disk. Before that a job has the node's: preparing
// itself at the lowest could take minutes on a busy machine.
func (p *Proc) Lower() {
	select {
	case <-p.done: // its process id may be another's by now
	default:
		p.box.lower()
	}
}

// Stderr returns the last of what the job has printed, at most 64 KiB.
func (p *Proc) Stderr() []byte { return p.stderr.bytes() }

// Done is closed when every process of the job is gone.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait returns when every process of the job is gone.
func (p *Proc) Wait() Exit {
	<-p.done
	return p.exit
}

// Kill ends every process of the job and waits for that.
func (p *Proc) Kill() Exit {
	p.end(ErrKilled)
	return p.Wait()
}

// Close kills what still runs, waits for it and removes In, Out and the pipes.
// It may be called repeatedly. An error says what could not be removed.
func (p *Proc) Close() error {
	p.Kill()
	var err error
	p.closing.Do(func() {
		p.stopCtx()
		p.stdin.Close()
		p.stdout.Close()
		p.in.Close()
		p.out.Close()
		if err = p.box.free(); err != nil {
			err = fmt.Errorf("sandbox: files of a job not removed: %w", err)
		}
	})
	return err
}

// end kills the job. The first reason stays.
func (p *Proc) end(why error) {
	select {
	case <-p.done: // its process id may be another's by now
		return
	default:
	}
	p.mu.Lock()
	if p.killed == nil {
		p.killed = why
	}
	p.mu.Unlock()
	p.box.kill()
}

// pipes are the standard streams of a job, with both their ends.
type pipes struct {
	stdin, stdout, stderr *os.File    // ours
	theirs                [3]*os.File // the job's
}

func openPipes() (*pipes, error) {
	var p pipes
	var errs [3]error
	p.theirs[0], p.stdin, errs[0] = os.Pipe()
	p.stdout, p.theirs[1], errs[1] = os.Pipe()
	p.stderr, p.theirs[2], errs[2] = os.Pipe()
	if err := errors.Join(errs[:]...); err != nil {
		p.close()
		return nil, fmt.Errorf("sandbox: no pipes for a job: %w", err)
	}
	return &p, nil
}

func (p *pipes) attach(cmd *exec.Cmd) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.theirs[0], p.theirs[1], p.theirs[2]
}

// release closes the job's ends, once the job has them.
func (p *pipes) release() {
	for _, f := range p.theirs {
		f.Close()
	}
}

func (p *pipes) close() {
	p.release()
	p.stdin.Close()
	p.stdout.Close()
	p.stderr.Close()
}

// newProc takes over a started job. Its goroutines end with the job.
func newProc(ctx context.Context, spec Spec, dirs Dirs, in, out *os.Root, std *pipes, b box) *Proc {
	p := &Proc{dirs: dirs, stdin: std.stdin, stdout: std.stdout, in: in, out: out, box: b, done: make(chan struct{})}

	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.stderr.drain(std.stderr, spec.Stderr, spec.Limits.Stderr, func() { p.end(ErrStderr) })
	}()
	go b.watch(p.end, p.done)

	var wall *time.Timer
	if spec.Limits.Wall > 0 {
		wall = time.AfterFunc(spec.Limits.Wall, func() { p.end(ErrTime) })
	}
	go func() {
		state := b.wait()
		if wall != nil {
			wall.Stop()
		}
		// Nobody in a sandbox is left to write. A process that left a Direct
		// job's group may be: do not wait for it.
		std.stderr.SetReadDeadline(time.Now().Add(time.Second))
		<-drained
		std.stderr.Close()
		p.mu.Lock()
		p.exit = Exit{Code: -1, Killed: p.killed, Stderr: p.stderr.bytes()}
		p.mu.Unlock()
		if state != nil {
			p.exit.Code = state.ExitCode()
			p.exit.CPU = state.UserTime() + state.SystemTime()
		}
		close(p.done)
	}()
	p.stopCtx = context.AfterFunc(ctx, func() { p.end(context.Cause(ctx)) })
	return p
}
