// SPDX-License-Identifier: MIT

package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"meshnode/job"
)

// Script is all that a run depends on: the same script is the same run, bit for
// bit. Its text form has one line for each node, job and fault:
//
//	seed 7
//	net delay=200µs..20ms loss=0.1 double=0.05 late=0.02
//	node 0 slots=2 speed=1.2
//	node 1 slots=4 speed=0.4 says=2 joins=12s
//	job 0 by=0 at=2.1s fps=30 frame=20ms walk=1.2s bytes=100000 plays=60,30z,120
//	at 12.3s kill 1
//	at 15s start 1
//	settle 90s
//
// Empty lines and lines that begin with # or > say nothing.
type Script struct {
	Seed   uint64
	Net    Net
	Nodes  []Node
	Jobs   []Job
	Faults []Fault // in order of time
	Settle time.Duration
}

// Net is the network as it is without a fault line.
type Net struct {
	Min, Max time.Duration // delay of a message
	Loss     float64       // probability that a gossiped message is lost on its way to a peer
	Double   float64       // that it arrives twice
	Late     float64       // that it takes up to ten times Max
}

// Node describes one node. Numbers are names: they need not be dense.
type Node struct {
	Number  int
	Slots   uint32
	Speed   float64       // of a slot; 1 is typical
	Says    float64       // the speed that it advertises; 0: the true one
	Joins   time.Duration // when it starts
	Sandbox string        // "": a good one
	Breaks  float64       // probability that rendering a cell fails
	Drift   float64       // rate of its monotonic clock; 0: 1
	Liar    string        // how it cheats; see liar.go
}

// Job describes one job.
type Job struct {
	Number int
	By     int           // number of its submitter
	At     time.Duration // when the user presses the key
	Plays  []job.Play
	FPS    float64
	Frame  time.Duration // to render a frame of a moving play at speed 1
	Walk   time.Duration // to walk through all of it at speed 1
	Bytes  uint64        // of a finished cell
	Cell   uint32        // frames of a cell; 0: by the grid
	Away   bool          // its submitter renders nothing of it itself
	Trust  string        // of its submitter in the others; "": mine
}

// Fault is something that happens to the mesh.
type Fault struct {
	At   time.Duration
	Verb string // a key of verbs
	Args []string
}

func (f Fault) String() string {
	return strings.TrimSpace(fmt.Sprintf("at %v %s %s", f.At, f.Verb, strings.Join(f.Args, " ")))
}

// String returns the text form.
func (s *Script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", s.Seed)
	line := func(words ...string) {
		fmt.Fprintln(&b, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "))
	}
	line("net", fmt.Sprintf("delay=%v..%v", s.Net.Min, s.Net.Max), option("loss", s.Net.Loss), option("double", s.Net.Double), option("late", s.Net.Late))
	for _, n := range s.Nodes {
		line("node", strconv.Itoa(n.Number), option("slots", n.Slots), option("speed", n.Speed), option("says", n.Says),
			option("joins", n.Joins), option("sandbox", n.Sandbox), option("breaks", n.Breaks), option("drift", n.Drift), option("liar", n.Liar))
	}
	for _, j := range s.Jobs {
		var plays []string
		for _, p := range j.Plays {
			text := strconv.Itoa(int(p.Frames))
			if p.Frozen {
				text += "z"
			}
			plays = append(plays, text)
		}
		line("job", strconv.Itoa(j.Number), fmt.Sprintf("by=%d", j.By), option("at", j.At), option("fps", j.FPS), option("frame", j.Frame),
			option("walk", j.Walk), option("bytes", j.Bytes), option("cell", j.Cell), option("away", j.Away),
			option("trust", j.Trust), "plays="+strings.Join(plays, ","))
	}
	for _, f := range s.Faults {
		line(f.String())
	}
	if s.Settle > 0 {
		line("settle", s.Settle.String())
	}
	return b.String()
}

// option returns key=value, or "" for the zero value.
func option[T comparable](key string, v T) string {
	var zero T
	if v == zero {
		return ""
	}
	return fmt.Sprintf("%s=%v", key, v)
}

// ParseScript reads the text form.
func ParseScript(r io.Reader) (*Script, error) {
	s := new(Script)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<22)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], ">") {
			continue
		}
		if err := s.line(words[0], words[1:]); err != nil {
			return nil, fmt.Errorf("sim: line %d: %q: %w", n, lines.Text(), err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("sim: script not read: %w", err)
	}
	return s, s.check()
}

func (s *Script) line(what string, words []string) error {
	var name string
	if what != "net" {
		if len(words) == 0 {
			return errors.New("something is missing")
		}
		name, words = words[0], words[1:]
	}
	switch what {
	case "seed":
		return scan(name, &s.Seed)
	case "settle":
		return scan(name, &s.Settle)
	case "at":
		f := Fault{}
		if len(words) == 0 {
			return errors.New("what happens is missing")
		}
		f.Verb, f.Args = words[0], words[1:]
		err := scan(name, &f.At)
		s.Faults = append(s.Faults, f)
		return err
	case "net":
		return options(words, func(key, value string) error {
			switch key {
			case "delay":
				least, most, _ := strings.Cut(value, "..")
				return errors.Join(scan(least, &s.Net.Min), scan(most, &s.Net.Max))
			case "loss":
				return scan(value, &s.Net.Loss)
			case "double":
				return scan(value, &s.Net.Double)
			case "late":
				return scan(value, &s.Net.Late)
			}
			return errUnknown
		})
	case "node":
		n, err := parseNode(name, words)
		s.Nodes = append(s.Nodes, n)
		return err
	case "job":
		j, err := parseJob(name, words)
		s.Jobs = append(s.Jobs, j)
		return err
	}
	return errUnknown
}

func parseNode(name string, words []string) (n Node, err error) {
	if err := scan(name, &n.Number); err != nil {
		return n, err
	}
	return n, options(words, func(key, value string) error {
		switch key {
		case "slots":
			return scan(value, &n.Slots)
		case "speed":
			return scan(value, &n.Speed)
		case "says":
			return scan(value, &n.Says)
		case "joins":
			return scan(value, &n.Joins)
		case "sandbox":
			return scan(value, &n.Sandbox)
		case "breaks":
			return scan(value, &n.Breaks)
		case "drift":
			return scan(value, &n.Drift)
		case "liar":
			return scan(value, &n.Liar)
		}
		return errUnknown
	})
}

func parseJob(name string, words []string) (j Job, err error) {
	if err := scan(name, &j.Number); err != nil {
		return j, err
	}
	return j, options(words, func(key, value string) error {
		switch key {
		case "by":
			return scan(value, &j.By)
		case "at":
			return scan(value, &j.At)
		case "fps":
			return scan(value, &j.FPS)
		case "frame":
			return scan(value, &j.Frame)
		case "walk":
			return scan(value, &j.Walk)
		case "bytes":
			return scan(value, &j.Bytes)
		case "cell":
			return scan(value, &j.Cell)
		case "away":
			return scan(value, &j.Away)
		case "trust":
			return scan(value, &j.Trust)
		case "plays":
			for part := range strings.SplitSeq(value, ",") {
				frames, frozen := strings.CutSuffix(part, "z")
				p := job.Play{Frozen: frozen}
				if err := scan(frames, &p.Frames); err != nil {
					return err
				}
				j.Plays = append(j.Plays, p)
			}
			return nil
		}
		return errUnknown
	})
}

var errUnknown = errors.New("not known")

func options(words []string, set func(key, value string) error) error {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		if err := set(key, value); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

// scan reads one value.
func scan(text string, to any) (err error) {
	switch to := to.(type) {
	case *string:
		*to = text
	case *bool:
		*to, err = strconv.ParseBool(text)
	case *int:
		*to, err = strconv.Atoi(text)
	case *uint32:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		*to = uint32(n)
	case *uint64:
		*to, err = strconv.ParseUint(text, 10, 64)
	case *float64:
		*to, err = strconv.ParseFloat(text, 64)
	case *time.Duration:
		*to, err = time.ParseDuration(text)
	default:
		err = fmt.Errorf("cannot read a %T", to)
	}
	return err
}

// check reports what a script names and does not have.
func (s *Script) check() error {
	has := func(number int) bool {
		return slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Number == number })
	}
	for _, j := range s.Jobs {
		if !has(j.By) {
			return fmt.Errorf("sim: job %d is of node %d, which is not there", j.Number, j.By)
		}
	}
	for _, f := range s.Faults {
		v, ok := verbs[f.Verb]
		if !ok {
			return fmt.Errorf("sim: %v: no such fault", f)
		}
		nodes, err := v.nodes(f.Args)
		if err != nil {
			return fmt.Errorf("sim: %v: %w", f, err)
		}
		for _, n := range nodes {
			if !has(n) {
				return fmt.Errorf("sim: %v: there is no node %d", f, n)
			}
		}
	}
	slices.SortStableFunc(s.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return nil
}
