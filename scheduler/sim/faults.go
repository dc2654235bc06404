// SPDX-License-Identifier: MIT

package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// verbs are the things that can happen to a mesh. Each kind has a file of its
// own: fault_*.go.
var verbs = map[string]verb{
	// fault_crash.go
	"kill":  {"node [number]", (*Sim).kill},
	"start": {"node", (*Sim).start},
	"leave": {"node", (*Sim).leave},
	// fault_freeze.go
	"hang":    {"node", (*Sim).hang},
	"wake":    {"node", (*Sim).wake},
	"suspend": {"node", (*Sim).suspend},
	"resume":  {"node", (*Sim).resume},
	"jump":    {"node time", (*Sim).jump},
	// fault_network.go
	"part":   {"nodes", (*Sim).part},
	"heal":   {"", (*Sim).heal},
	"clog":   {"node node", (*Sim).clog},
	"unclog": {"node node", (*Sim).unclog},
	"net":    {"number number number", (*Sim).weather},
	// fault_disk.go
	"full":    {"node", (*Sim).full},
	"failing": {"node", (*Sim).failing},
	"repair":  {"node", (*Sim).repair},
	"rot":     {"node number", (*Sim).rot},
	"erase":   {"node number", (*Sim).erase},
	"spoil":   {"node number", (*Sim).spoil},
	// fault_engine.go
	"slow":  {"node number", (*Sim).slow},
	"stick": {"node", (*Sim).stick},
	"free":  {"node", (*Sim).free},
	"oom":   {"node number", (*Sim).oom},
	"break": {"node number", (*Sim).breakEngine},
	// fault_user.go
	"slots":  {"node number", (*Sim).setSlots},
	"pause":  {"node", (*Sim).pause},
	"go":     {"node", (*Sim).unpause},
	"abort":  {"number", (*Sim).abort},
	"finish": {"node number", (*Sim).finish},
}

// verb is one of them. Its form names its arguments: node, nodes (all that
// follow), number, time; in brackets when it may be left out.
type verb struct {
	form string
	do   func(*Sim, arguments)
}

// arguments are those of a fault, by kind and in order.
type arguments struct {
	nodes   []*node
	numbers []float64
	time    time.Duration
}

// nodes returns the numbers of the nodes among the arguments, and an error when
// these do not fit the form.
func (v verb) nodes(args []string) (found []int, err error) {
	_, found, err = v.read(args)
	return found, err
}

func (v verb) read(args []string) (a arguments, nodes []int, err error) {
	for kind := range strings.FieldsSeq(v.form) {
		name, optional := strings.CutPrefix(kind, "[")
		name = strings.TrimSuffix(name, "]")
		for many := true; many; {
			many = name == "nodes" && len(args) > 1
			if len(args) == 0 {
				if optional {
					return a, nodes, nil
				}
				return a, nodes, fmt.Errorf("its form is: %s", v.form)
			}
			var number int
			var f float64
			switch name {
			case "node", "nodes":
				err = scan(args[0], &number)
				nodes = append(nodes, number)
			case "number":
				err = scan(args[0], &f)
				a.numbers = append(a.numbers, f)
			case "time":
				err = scan(args[0], &a.time)
			}
			if err != nil {
				return a, nodes, err
			}
			args = args[1:]
		}
	}
	if len(args) > 0 {
		err = errors.New("more than its form: " + v.form)
	}
	return a, nodes, err
}

// inject lets a fault happen.
func (s *Sim) inject(f Fault) {
	v := verbs[f.Verb]
	a, nodes, err := v.read(f.Args)
	if err != nil { // the script was checked
		return
	}
	for _, number := range nodes {
		a.nodes = append(a.nodes, s.node(number))
	}
	s.tell("%v", f)
	v.do(s, a)
}

// settle undoes what can be undone: from now on nothing goes wrong by itself. What
// was killed stays dead, who lies goes on.
func (s *Sim) settle() {
	s.tell("settle")
	s.settled = true
	s.net.Loss, s.net.Double, s.net.Late = 0, 0, 0
	s.heal(arguments{})
	for _, n := range s.nodes {
		one := arguments{nodes: []*node{n}}
		s.repair(one)
		s.wake(one)
		s.resume(one)
		s.free(one)
		s.unpause(one)
		n.breaks, n.ooms, n.dieIn = 0, 0, -1
	}
}
