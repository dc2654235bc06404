// SPDX-License-Identifier: MIT

package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The arena is a sandbox around the sandbox: a small computer of namespaces, with
// a node that has secrets, in which attacks run without the layers that stop
// them. Nothing of the real computer is there but its programs, read-only.

// layer is what a job is put under. The names are those of docs/threats.md.
type layer string

const (
	namespaces layer = "namespaces" // and the loss of capabilities
	rules      layer = "Landlock"
	calls      layer = "seccomp"
	limits     layer = "limits" // of the kernel, by setrlimit
)

var layers = []layer{namespaces, rules, calls, limits}

func init() {
	maps.Copy(jobsByName, testJobs{"arena": arenaJob, "attacker": attackerJob, "layers": layersJob})
	if len(os.Args) > 2 && os.Args[1] == testStage && (os.Args[2] == "arena" || os.Args[2] == "attacker") {
		runtime.LockOSThread() // rights and rules belong to threads
	}
}

// inArena runs a test job in the arena and decodes what it says, one value for
// each line. Where no arena can be made the test is skipped.
func inArena[T any](t *testing.T, args ...string) []T {
	t.Helper()
	if raceDetector {
		t.Skip("a program under the race detector cannot be a job")
	}
	attr := &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Cloneflags:  newNamespaces,
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID},
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		owner, err := unusedUser()
		if err != nil {
			t.Skip(err)
		}
		uid, gid, attr.GidMappingsEnableSetgroups = owner, owner, true
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: jobUser, HostID: uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: jobUser, HostID: gid, Size: 1}}
	cmd := exec.Command(thisProgram, append([]string{testStage, "arena"}, args...)...)
	cmd.SysProcAttr, cmd.Env = attr, []string{"SECRET=of the node", "ROOT=" + strconv.FormatBool(os.Geteuid() == 0)}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var started error
	err := onStarter(func() error {
		started = cmd.Start()
		return started
	})
	if err == nil {
		err = cmd.Wait()
	}
	if started != nil || strings.Contains(stderr.String(), noArena) {
		t.Skipf("no arena here: %v %s", err, stderr.String())
	}
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var values []T
	for decoder := json.NewDecoder(&stdout); ; {
		var v T
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			return values
		} else if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		values = append(values, v)
	}
}

// noArena marks the errors of a system in which no arena can be made.
const noArena = "no arena"

// arenaJob builds the arena and runs a job in it, as a user without rights.
func arenaJob(args []string) error {
	if err := buildArena(); err != nil {
		return fmt.Errorf("%s: %w", noArena, err)
	}
	if err := dropCapabilities(false); err != nil {
		return err
	}
	if err := furnishArena(); err != nil {
		return err
	}
	job, ok := jobsByName[args[0]]
	if !ok {
		return fmt.Errorf("no test job %q", args[0])
	}
	return job(args[1:])
}

// What is in the arena. All of it belongs to its one user, in one file system.
const (
	arenaSecret  = "/arena/key"
	arenaRuntime = "/arena/runtime"
	arenaProgram = arenaRuntime + "/program" // this one
)

var arenaDirs = Dirs{"/arena/job/in", "/arena/job/out", "/arena/job/tmp"}

func buildArena() error {
	proc, err := procView()
	if err != nil {
		return err
	}
	v, err := viewOf(Runtime{})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	zero, err := unix.OpenTree(unix.AT_FDCWD, "/dev/zero", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open_tree /dev/zero: %w", err)
	}
	o := confineOrder{
		Mounts: append(v.mounts, mount{Source: self, Target: "/program"}, mount{Target: "/proc", FD: proc},
			mount{Target: "/dev/zero", FD: zero}), // which a sandbox does not have
		Links: v.links,
	}
	become := func() error { return nil }
	if os.Getenv("ROOT") == "true" {
		become = func() error { return becomeUser(jobUser) }
	}
	for _, path := range []string{"/arena", "/home", "/root", "/etc", "/run", "/tmp"} {
		o.Memory = append(o.Memory, tmpfs{path, Space{128 << 20, 5000}})
	}
	if err := buildRoot(&o, become); err != nil {
		return err
	}
	// Nothing in it keeps a job from running what it has written.
	if err := unix.MountSetattr(unix.AT_FDCWD, "/arena", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NOEXEC}); err != nil {
		return fmt.Errorf("arena: %w", err)
	}
	return upLoopback()
}

func furnishArena() error {
	// Its own children's files in /proc are its own too.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	program, err := os.ReadFile("/program")
	if err != nil {
		return err
	}
	if err := os.Mkdir(arenaRuntime, 0o755); err != nil {
		return err
	}
	for path, text := range map[string][]byte{
		arenaProgram: program, arenaRuntime + "/module.py": nil,
		arenaSecret: []byte("secret"), "/etc/passwd": []byte("names"), "/etc/shadow": []byte("passwords"),
	} {
		if err := os.WriteFile(path, text, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// procView is a detached view of the processes of this namespace.
func procView() (int, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen proc: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("proc: %w", err)
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

// upLoopback makes 127.0.0.1 of a new network namespace work.
func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// attackerOrder says under which layers an attack is made.
type attackerOrder struct {
	Aim     int // in attacks
	Layers  []layer
	Targets targets
}

func (o *attackerOrder) under(l layer) bool { return slices.Contains(o.Layers, l) }

// attackUnder starts an attacker in the arena. root: it has all rights that the
// arena can give, as the root of a container has.
func attackUnder(o attackerOrder, root bool) (Result, error) {
	cmd := exec.Command(arenaProgram, testStage, "attacker")
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	self := []syscall.SysProcIDMap{{ContainerID: jobUser, HostID: jobUser, Size: 1}}
	if root {
		cmd.SysProcAttr.Cloneflags = newNamespaces
		self[0].ContainerID = 0
	}
	if o.under(namespaces) {
		cmd.SysProcAttr.Cloneflags = newNamespaces
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
	}
	if cmd.SysProcAttr.Cloneflags != 0 {
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = self, self
	}
	text, err := json.Marshal(o)
	if err != nil {
		return Result{}, err
	}
	cmd.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var r Result
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s under %v: %w: %s", attacks[o.Aim].name, o.Layers, err, stderr.String())
	}
	return r, nil
}

// attackerJob goes under layers as confine does, and makes one attack.
func attackerJob([]string) error {
	var o attackerOrder
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	t := &o.Targets
	v, err := viewOf(Runtime{})
	if err != nil {
		return err
	}
	v.mounts = append(v.mounts, mount{Source: arenaRuntime, Target: arenaRuntime})
	if o.under(namespaces) {
		t.Dirs = inside
		order := confineOrder{
			Mounts: v.mounts, Links: v.links,
			Memory: []tmpfs{{inside.Tmp, t.Limits.Tmp}, {inside.In, t.Limits.In}, {inside.Out, t.Limits.Out}},
		}
		if err := buildRoot(&order, func() error { return nil }); err != nil {
			return err
		}
		if err := dropCapabilities(true); err != nil {
			return err
		}
	}
	opened, err := openRules(v.targets(), []string{t.Dirs.In, t.Dirs.Out, t.Dirs.Tmp}, nil)
	if err != nil {
		return err
	}
	if o.under(limits) {
		if err := setLimits(t.Limits); err != nil {
			return err
		}
		if err := setLimit("address space", unix.RLIMIT_AS, t.Limits.AddressSpace); err != nil {
			return err
		}
	}
	if o.under(rules) || o.under(calls) {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	if o.under(rules) {
		if err := landlock(opened, basicLandlock); err != nil {
			return err
		}
	}
	if o.under(calls) {
		if err := installFilter(filter(machines[runtime.GOARCH], !o.under(namespaces), true)); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(attacks[o.Aim].run(t))
}
