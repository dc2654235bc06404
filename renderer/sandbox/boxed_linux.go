// SPDX-License-Identifier: MIT

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// infoFD is where bubblewrap tells the process id of the job.
const infoFD = 4

// thisProgram stays the running one when its file is replaced.
const thisProgram = "/proc/self/exe"

// bubblewraps are where a system installs it. PATH is not asked: it may name
// folders that others can write to.
var bubblewraps = []string{"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap"}

// boxedProc is a job in a sandbox. In Own and Bwrap its first process is number
// 1 of a process namespace: when that ends, the kernel ends all others first. In
// Basic its supervisor does that.
type boxedProc struct {
	tier   Tier
	cmd    *exec.Cmd
	first  *os.File // Bwrap: pidfd of the job's first process, which is not cmd's
	pid    int      // of the process above all of the job, as seen here
	leader int      // Basic: of the job's first process, which leads its group
	in     *os.Root
	spaces []watched // In, Out, Tmp
	limits Limits
	owner  int // to whom given files belong; 0 if they do by themselves
	onHost
}

// start is what is collected on the way to a running job, and undone if it
// does not get there.
type start struct {
	tier   Tier
	spec   Spec
	owner  int // user and group of the job on the host if the node is root, else 0
	order  confineOrder
	conn   *net.UnixConn
	theirs []*os.File // for the child: from descriptor 3 on
	info   *os.File   // Bwrap
	dirs   Dirs
	onHost
	cleanup []func()
}

func startBoxed(ctx context.Context, tier Tier, spec Spec) (*Proc, error) {
	v, err := viewOf(spec.Runtime)
	if err != nil {
		return nil, err
	}
	return startIn(ctx, tier, spec, v)
}

// startIn starts a job that sees v. spec has been checked.
func startIn(ctx context.Context, tier Tier, spec Spec, v view) (*Proc, error) {
	if _, ok := machines[runtime.GOARCH]; !ok {
		return nil, fmt.Errorf("sandbox: not on %s: no list of its system calls", runtime.GOARCH)
	}
	s := &start{tier: tier, spec: spec, dirs: inside}
	p, err := s.run(ctx, v)
	for _, f := range slices.Backward(s.cleanup) {
		f()
	}
	if err != nil {
		s.onHost.free()
		if tier == Basic && s.owner != 0 {
			err = fmt.Errorf("%w (the node is root: user %d, as whom jobs run, must be able to reach the node's folders and environments)", err, s.owner)
		}
		return nil, fmt.Errorf("sandbox: job not started in tier %s: %w", tier, err)
	}
	return p, nil
}

func (s *start) run(ctx context.Context, v view) (*Proc, error) {
	if os.Geteuid() == 0 {
		var err error
		if s.owner, err = unusedUser(); err != nil {
			return nil, err
		}
	}
	s.order = confineOrder{Readable: v.targets(), Program: s.spec.program, Poller: s.spec.poller, Argv: s.spec.Argv, Dir: s.spec.Dir, Limits: s.spec.Limits}
	if s.order.Program == "" {
		s.order.Program = s.spec.Argv[0]
	}
	conn, helper, err := controlPair()
	if err != nil {
		return nil, err
	}
	s.conn = conn
	s.defers(func() { conn.Close() })
	s.give(helper)
	deadline := time.Now().Add(startTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	s.defers(func() { stop() })

	var cmd *exec.Cmd
	switch s.tier {
	case Own:
		cmd, err = s.prepareOwn(v)
	case Bwrap:
		cmd, err = s.prepareBwrap(v)
	case Basic:
		cmd, err = s.prepareBasic(v)
	}
	if err != nil {
		return nil, err
	}
	s.order.Dirs = s.dirs
	if s.order.Dir == "" {
		s.order.Dir = s.dirs.Tmp
	}
	s.order.Env = append([]string{"HOME=" + s.dirs.Tmp, "TMPDIR=" + s.dirs.Tmp, "PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, s.spec.Env...)
	if err := sendOrder(conn, &s.order); err != nil {
		return nil, err
	}
	std, err := openPipes()
	if err != nil {
		return nil, err
	}
	std.attach(cmd)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", []string{}, s.theirs
	if err := onStarter(cmd.Start); err != nil {
		std.close()
		if s.tier == Own {
			err = describeRefusal(err, false, sysctl)
		}
		return nil, err
	}
	std.release()
	for _, f := range s.theirs {
		f.Close()
	}
	b := &boxedProc{
		tier: s.tier, cmd: cmd, pid: cmd.Process.Pid, limits: s.spec.Limits, owner: s.owner, onHost: s.onHost,
	}
	in, out, err := s.handshake(b)
	if err != nil {
		b.kill()
		b.wait()
		b.free()
		err = s.explain(ctx, err, std)
		if s.tier == Own {
			err = describeRefusal(err, true, sysctl)
		}
		std.close()
		return nil, err
	}
	b.in = in
	b.limits.Shared.open(b)
	return newProc(ctx, s.spec, s.dirs, in, out, std, b), nil
}

func (s *start) defers(f func()) { s.cleanup = append(s.cleanup, f) }

// give hands a file to the child and returns its descriptor there.
func (s *start) give(f *os.File) int {
	s.theirs = append(s.theirs, f)
	s.defers(func() { f.Close() })
	return 2 + len(s.theirs)
}

// prepareOwn orders new namespaces from the kernel.
func (s *start) prepareOwn(v view) (*exec.Cmd, error) {
	s.order.Build, s.order.Mounts, s.order.Links = true, v.mounts, v.links
	s.order.Memory = []tmpfs{{inside.Tmp, s.spec.Limits.Tmp}, {inside.In, s.spec.Limits.In}, {inside.Out, s.spec.Limits.Out}}
	attr := &syscall.SysProcAttr{
		Setsid:    true,
		Pdeathsig: syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
			unix.CLONE_NEWUTS | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
		// Rights for the helper alone, on its way through execve as a user who
		// is not 0 inside.
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP},
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if s.owner != 0 {
		// The helper opens the runtime while it is still root outside (nobody
		// inside), who can read it, and then becomes the mapped user.
		uid, gid = s.owner, s.owner
		attr.GidMappingsEnableSetgroups = true
		attr.AmbientCaps = append(attr.AmbientCaps, unix.CAP_SETUID, unix.CAP_SETGID)
		s.order.Become = jobUser
		folders, err := s.rootFolders()
		if err != nil {
			return nil, err
		}
		s.order.Mounts = append(slices.Clone(v.mounts), folders...)
		s.order.Memory = s.order.Memory[:1]
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: jobUser, HostID: uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: jobUser, HostID: gid, Size: 1}}
	return &exec.Cmd{Path: thisProgram, Args: []string{confineStage}, SysProcAttr: attr}, nil
}

// rootFolders makes In and Out on the node's side. Root cannot write to a file
// system of a namespace in which it has no number (EOVERFLOW), so these belong
// to the host.
func (s *start) rootFolders() ([]mount, error) {
	var mounts []mount
	for _, m := range []tmpfs{{inside.In, s.spec.Limits.In}, {inside.Out, s.spec.Limits.Out}} {
		fd, err := newTmpfs(m.Space, s.owner, dataAttr)
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("the node is root without the right to mount (CAP_SYS_ADMIN), as in a container: run it as an ordinary user: %w", err)
		}
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, mount{Target: m.Path, FD: s.give(os.NewFile(uintptr(fd), m.Path))})
	}
	return mounts, nil
}

// prepareBwrap orders them from bubblewrap.
func (s *start) prepareBwrap(v view) (*exec.Cmd, error) {
	i := slices.IndexFunc(bubblewraps, func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	})
	if i < 0 {
		return nil, errors.New("bubblewrap is not installed (package bubblewrap)")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.info = r
	s.defers(func() { r.Close() })
	s.give(w) // infoFD

	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	mounts := append(slices.Clone(v.mounts), mount{Source: self, Target: "/" + confineStage})
	order := launchOrder{Become: s.owner}
	args := []string{bubblewraps[i], "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
		"--unshare-cgroup-try", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv", "--cap-drop", "ALL",
		"--hostname", "sandbox", "--uid", strconv.Itoa(jobUser), "--gid", strconv.Itoa(jobUser),
		"--info-fd", strconv.Itoa(infoFD)}
	memory := []tmpfs{{inside.Tmp, s.spec.Limits.Tmp}}
	if s.owner != 0 {
		attr.Cloneflags = unix.CLONE_NEWNS
		folders, err := s.rootFolders()
		if err != nil {
			return nil, err
		}
		for i, m := range append(mounts, folders...) {
			place := filepath.Join(stage, strconv.Itoa(i))
			order.Staged = append(order.Staged, mount{Source: m.Source, Target: place, FD: m.FD})
			if m.FD != 0 {
				args = append(args, "--bind", place, m.Target)
			} else {
				mounts[i].Source = place
			}
		}
	} else {
		memory = append(memory, tmpfs{inside.In, s.spec.Limits.In}, tmpfs{inside.Out, s.spec.Limits.Out})
	}
	for _, m := range memory { // a runtime may lie below /tmp
		args = append(args, "--size", strconv.FormatInt(m.Space.Bytes, 10), "--tmpfs", m.Path)
	}
	for _, m := range mounts {
		args = append(args, "--ro-bind", m.Source, m.Target)
	}
	for _, d := range devices {
		args = append(args, "--dev-bind", d, d)
	}
	for _, l := range v.links {
		args = append(args, "--symlink", l.Target, l.Path)
	}
	args = append(args, "--remount-ro", "/", "--", "/"+confineStage)
	if s.owner == 0 {
		return &exec.Cmd{Path: args[0], Args: args, SysProcAttr: attr}, nil
	}
	order.Argv = args
	if err := sendOrder(s.conn, &order); err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: thisProgram, Args: []string{launchStage}, SysProcAttr: attr}, nil
}

// handshake follows the child until it is the job.
func (s *start) handshake(b *boxedProc) (in, out *os.Root, err error) {
	if s.info != nil {
		if err := s.awaitInfo(b); err != nil {
			return nil, nil, err
		}
	}
	pid, folders, err := awaitReady(s.conn)
	if err != nil {
		return nil, nil, err
	}
	if s.tier == Basic {
		b.leader = pid
	}
	limits := s.spec.Limits
	for i, space := range []Space{limits.In, limits.Out, limits.Tmp} {
		var root *os.Root
		if err == nil {
			root, err = rootAt(folders[i])
		}
		if err == nil {
			b.spaces = append(b.spaces, watched{root, space})
		}
		folders[i].Close()
	}
	if err == nil {
		err = b.preferForOOM()
	}
	if err == nil {
		_, err = s.conn.Write([]byte{1})
	}
	if err == nil {
		err = awaitRunning(s.conn)
	}
	if err != nil {
		return nil, nil, err
	}
	return b.spaces[0].root, b.spaces[1].root, nil
}

// preferForOOM has a machine that runs out of memory end this job first.
func (b *boxedProc) preferForOOM() error {
	return os.WriteFile("/proc/"+strconv.Itoa(b.firstProcess())+"/oom_score_adj", []byte("1000"), 0)
}

// rootAt opens a folder that is in another mount namespace.
func rootAt(dir *os.File) (*os.Root, error) {
	return os.OpenRoot("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())))
}

// awaitInfo learns which process bubblewrap made number 1. It is not reaped
// before it has answered the handshake, so the number is still its own.
func (s *start) awaitInfo(b *boxedProc) error {
	s.info.SetReadDeadline(time.Now().Add(startTimeout))
	var info struct {
		PID int `json:"child-pid"`
	}
	if err := json.NewDecoder(s.info).Decode(&info); err != nil {
		return fmt.Errorf("bubblewrap did not start: %w", err)
	}
	fd, err := unix.PidfdOpen(info.PID, 0)
	if err != nil {
		return fmt.Errorf("bubblewrap's child is gone: %w", err)
	}
	b.pid, b.first = info.PID, os.NewFile(uintptr(fd), "pidfd")
	return nil
}

// explain adds what was printed to a failure: bubblewrap says there why.
func (s *start) explain(ctx context.Context, err error, std *pipes) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	std.stderr.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 2000)
	n, _ := std.stderr.Read(buf)
	if text := strings.TrimSpace(string(buf[:n])); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

func (b *boxedProc) kill() {
	if b.leash != nil {
		b.leash.Close() // once; again it is an error without consequence
		return
	}
	if b.first != nil {
		unix.PidfdSendSignal(int(b.first.Fd()), unix.SIGKILL, nil, 0)
	}
	b.cmd.Process.Kill()
}

// wait returns after the last process. In Own that is what waiting for number 1
// means, and the supervisor of Basic ends last; bubblewrap ends as soon as it
// knows, or at once if it is killed.
func (b *boxedProc) wait() *os.ProcessState {
	b.cmd.Wait()
	if b.leader != 0 && b.cmd.ProcessState.ExitCode() == -1 { // somebody has killed the supervisor
		unix.Kill(-b.leader, unix.SIGKILL)
	}
	if b.first != nil {
		fd := int(b.first.Fd())
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				break
			}
		}
	}
	return b.cmd.ProcessState
}

// give changes the owner of what root has put into In.
func (b *boxedProc) give(ctx context.Context) error {
	if b.owner == 0 {
		return nil
	}
	return chownAll(ctx, b.in, b.owner)
}

// giveFiles does so for some of it. Nothing here leaves the folder.
func (b *boxedProc) giveFiles(names []string) error {
	if b.owner == 0 {
		return nil
	}
	for _, name := range names {
		if err := chownPath(b.in, name, b.owner); err != nil {
			return err
		}
	}
	return nil
}

// firstProcess is the job's own, as seen here.
func (b *boxedProc) firstProcess() int {
	if b.leader != 0 {
		return b.leader
	}
	return b.pid
}

// free lets go of the job's process. Its folders go with the roots that Proc
// holds, but in Basic: elsewhere nothing of them is on disk.
func (b *boxedProc) free() error {
	if b.first != nil {
		b.first.Close()
	}
	for _, w := range b.spaces {
		w.root.Close()
	}
	err := b.onHost.free()
	b.limits.Shared.free(b)
	return err
}
