// SPDX-License-Identifier: MIT

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// layered is what came of one attack under each set of layers.
type layered struct {
	Name  string
	Alone map[layer]Result // under one layer only
	User  Result           // under none, as an ordinary user
	Root  Result           // if that fails: as the root of a container
}

// layersJob makes every attack in the arena, under none and each of the layers.
func layersJob([]string) error {
	node := exec.Command(arenaProgram, testStage, "sleep")
	if err := node.Start(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	var most unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &most); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	encoder := json.NewEncoder(os.Stdout)
	for i, a := range attacks {
		if a.need {
			continue
		}
		one := layered{Name: a.name, Alone: make(map[layer]Result)}
		try := func(root bool, under ...layer) Result {
			err := os.RemoveAll("/arena/job")
			for _, dir := range []string{arenaDirs.In, arenaDirs.Out, arenaDirs.Tmp} {
				err = errors.Join(err, os.MkdirAll(dir, 0o755))
			}
			b, baitErr := layBait("/arena/job")
			if err = errors.Join(err, baitErr); err != nil {
				return Result{Detail: err.Error()}
			}
			tier := Own
			if a.only != "" {
				tier = a.only
			}
			r, err := attackUnder(attackerOrder{i, under, targets{
				Tier: tier, Dirs: arenaDirs, Program: arenaProgram, Bait: b.dir, Node: node.Process.Pid, NodeProcesses: most.Max,
				Secret: []string{arenaSecret}, ReadOnly: []string{"/usr", arenaRuntime}, Listener: listener.Addr().String(),
				Limits: probeLimits().orDefault(),
			}}, root)
			if err != nil {
				return Result{Detail: err.Error()}
			}
			return r
		}
		if one.User = try(false); one.User.Passed {
			one.Root = try(true)
		}
		// What only a root can do is tried as one; under namespaces there is none.
		root := one.User.Passed && !one.Root.Passed
		for _, l := range layers {
			one.Alone[l] = try(root && l != namespaces, l)
		}
		if err := encoder.Encode(one); err != nil {
			return err
		}
	}
	return errors.Join(node.Process.Kill())
}

// notShown are attacks that nobody but the computer's own root could make, or that
// this test makes in another way: without layers they fail too.
var notShown = map[string]string{
	"make a device": "root", "setgroups": "root", "kernel log": "root", "reboot": "root", "kexec_load": "root", "swapon": "root", "acct": "root",
	"init_module": "root", "iopl": "root", "ioperm": "root", "set the clock": "root", "quotactl": "root",
	"kernel crypto socket": "has to be in the kernel", "userfaultfd": "may be off", "io_uring": "may be off", "bpf": "may be off",
	"perf_event_open": "may be off", "vsock socket": "has to be in the kernel",
}

// TestLayers shows that attacks get through where nothing stops them, and which
// layers do. It logs the table of docs/threats.md.
func TestLayers(t *testing.T) {
	t.Parallel()
	attacks := inArena[layered](t, "layers")
	if len(attacks) == 0 {
		t.Fatal("nothing was tried")
	}
	table := []string{"| attack | without | in `own`, `bwrap` stopped by | in `basic` stopped by |", "|---|---|---|---|"}
	for _, a := range attacks {
		var own, basic []string
		for _, l := range layers {
			if !a.Alone[l].Passed {
				continue
			}
			own = append(own, string(l))
			if l != namespaces {
				basic = append(basic, string(l))
			}
		}
		without := "gets through"
		switch {
		case !a.User.Passed:
		case !a.Root.Passed:
			without = "gets through for a container's root"
		case notShown[a.Name] != "":
			without = "only for the computer's root"
			own, basic = []string{string(calls)}, []string{string(calls)} // by its list alone
		default:
			t.Errorf("%s: fails without a sandbox too: %s; as root: %s", a.Name, a.User.Detail, a.Root.Detail)
		}
		switch a.Name {
		case "inherited descriptors":
			own, basic = []string{"closed at the start"}, []string{"closed at the start"}
		case "have capabilities":
			own, basic = []string{"dropped at the start"}, []string{"dropped at the start"}
		case "signal everybody": // a signal that says it was sent reaches nobody: TestSignalToEverybody
			basic = []string{string(rules)}
		case "out over the limit":
			basic = []string{"the node"}
		}
		if len(own) == 0 || len(basic) == 0 {
			t.Errorf("%s: no layer alone stops it: %+v", a.Name, a.Alone)
		}
		table = append(table, fmt.Sprintf("| %s | %s | %s | %s |", a.Name, without, strings.Join(own, ", "), strings.Join(basic, ", ")))
	}
	t.Log("\n" + strings.Join(table, "\n"))
}
