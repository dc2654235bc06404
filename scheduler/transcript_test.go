// SPDX-License-Identifier: MIT

package scheduler

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"meshnode/job"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// TestTranscripts replays testdata/*.txt. Each line is a command; the lines
// after it that begin with "> " are what the nodes must do. The commands:
//
//	node NAME [slots=N] [speed=F] [sandbox=none] [paused=yes]   a node starts
//	job NAME by=NODE cells=N [walk=S] [frames=N]             describes a job
//	join                       all nodes see each other
//	plan NODE JOB              the user presses the key
//	submit NODE JOB local=N    the plan is ready
//	deliver [KIND...]          all messages that are waiting arrive, or those kinds
//	drop [KIND...] [to=NODE]   they are lost
//	wait DURATION              time passes; messages do not
//	run DURATION               time passes; messages arrive at once
//	rendered NODE JOB CELL [seconds]
//	failed NODE JOB CELL CLASS REASON
//	hold NODE WHAT             what the node would get by itself (manifest, prepared,
//	give NODE WHAT JOB [ok|fail|bad] [CELL]   fetched) waits for give
//	left NODE                  the others see that the node has gone
//	back NODE                  and that it has come back
//	restart NODE               it comes back, and has forgotten everything
//	resume NODE                it comes back with what it has on disk
//	lost NODE JOB CELL...      its disk has lost the bytes of cells
//	abort NODE JOB             the user cancels
//	advert NODE KEY=VALUE      it says something else of itself
//	send FROM MESSAGE          a made-up message: claim JOB A B GEN, done JOB CELL,
//	                           cancel JOB, revoked JOB NODE, collected JOB A B
//	assembled NODE JOB
//	show NODE JOB              what the node knows of the cells
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := replay(want)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the transcript differs:\n%s", diff(want, got))
			}
		})
	}
}

// diff shows the first place where two texts differ.
func diff(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			from := max(0, i-3)
			return fmt.Sprintf("line %d\nwant:\n%s\ngot:\n%s", i+1,
				strings.Join(w[from:min(i+4, len(w))], "\n"), strings.Join(g[from:min(i+4, len(g))], "\n"))
		}
	}
	return ""
}

// stage is a mesh whose messages wait until they are delivered.
type stage struct {
	now   time.Duration
	nodes []*actor
	jobs  map[string]*piece
	mail  []letter
	out   bytes.Buffer
	seq   uint64
}

type actor struct {
	*Scheduler
	name   string
	advert job.Advert
	gone   bool
	held   map[string]bool
	owed   []Event           // held back
	disk   map[string][]byte // its records
}

type piece struct {
	name     string
	by       string
	id       job.ID
	manifest *job.Manifest
}

// letter is a message on its way: ask and answer are ids of a request.
type letter struct {
	from, to    string
	msg         job.Signed
	ask, answer uint64
	facts       []job.Signed
}

func replay(script []byte) ([]byte, error) {
	st := &stage{jobs: make(map[string]*piece)}
	lines := bufio.NewScanner(bytes.NewReader(script))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&st.out, line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if err := st.command(words[0], words[1:]); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n, line, err)
		}
	}
	return st.out.Bytes(), nil
}

// options splits key=value words from the others.
func options(words []string) (rest []string, opts map[string]string) {
	opts = make(map[string]string)
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			opts[k] = v
		} else {
			rest = append(rest, w)
		}
	}
	return rest, opts
}

func number(s string, otherwise uint32) uint32 {
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func float(s string, otherwise float64) float64 {
	if s == "" {
		return otherwise
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return f
}

var testNeed = job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "f"}

func testManifest(by string, cells, frames uint32, walk float64) *job.Manifest {
	m := &job.Manifest{
		V: job.Version, Submitter: job.PeerID(by), Name: "Scene", Need: testNeed, Assets: job.CIDOf(nil),
		Width: 400, Height: 400, FPS: 60, Walk: walk, CellFrames: frames,
	}
	for range cells {
		m.Plays = append(m.Plays, job.Play{Frames: frames})
	}
	return m
}

func testAdvert(name string) job.Advert {
	return job.Advert{
		V: job.Version, Name: name, Slots: 1, Speed: 1, Sandbox: "full",
		Environments: []job.Environment{{Renderer: testNeed.Renderer, Version: testNeed.Version, Fingerprint: testNeed.Fingerprint}},
	}
}

func testOutput(id job.ID, cell uint32) job.CID {
	return job.CIDOf(fmt.Appendf(nil, "%s/%d", id, cell))
}

func (st *stage) node(name string) *actor {
	for _, n := range st.nodes {
		if n.name == name {
			return n
		}
	}
	panic("no node " + name)
}

func (st *stage) command(verb string, words []string) error {
	args, opts := options(words)
	switch verb {
	case "node":
		n := &actor{Scheduler: New(Config{Self: job.PeerID(args[0])}), name: args[0], advert: testAdvert(args[0]), held: make(map[string]bool), disk: make(map[string][]byte)}
		set(&n.advert, opts)
		st.nodes = append(st.nodes, n)
		a := n.advert
		st.step(n, Resources{&a})
	case "job":
		p := &piece{name: args[0], by: opts["by"], manifest: testManifest(opts["by"], number(opts["cells"], 4), number(opts["frames"], 60), float(opts["walk"], 0))}
		p.manifest.Nonce[0] = byte(len(st.jobs) + 1)
		_, id, err := p.manifest.Block()
		if err != nil {
			return err
		}
		p.id = id
		st.jobs[p.name] = p
	case "join":
		for _, n := range st.nodes {
			st.join(n)
		}
	case "plan":
		st.step(st.node(args[0]), Plan{st.jobs[args[1]].manifest.Nonce, testNeed})
	case "submit":
		p := st.jobs[args[1]]
		st.step(st.node(args[0]), Submit{Job: p.id, Manifest: p.manifest, LocalSlots: number(opts["local"], 0)})
	case "deliver":
		st.deliver(args)
	case "drop":
		st.mail = slices.DeleteFunc(st.mail, func(l letter) bool {
			drop := (len(args) == 0 || slices.Contains(args, kindOf(l.msg.Msg))) && (opts["to"] == "" || opts["to"] == l.to)
			if drop && l.answer == 0 && l.ask != 0 {
				st.nobody(l)
			}
			return drop
		})
	case "wait", "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		st.pass(d, verb == "run")
	case "rendered":
		p := st.jobs[args[1]]
		cell := number(args[2], 0)
		took := 1.0
		if len(args) > 3 {
			took = float(args[3], 1)
		}
		st.step(st.node(args[0]), Rendered{p.id, cell, testOutput(p.id, cell), 1000, took})
	case "failed":
		class := map[string]Class{"retry": Retry, "memory": Memory, "diverged": Diverged}[args[3]]
		st.step(st.node(args[0]), RenderFailed{st.jobs[args[1]].id, number(args[2], 0), class, strings.Join(args[4:], " ")})
	case "rewalked":
		st.step(st.node(args[0]), Rewalked{st.jobs[args[1]].id, strings.Join(args[2:], " ")})
	case "lost":
		var cells []uint32
		for _, c := range args[2:] {
			cells = append(cells, number(c, 0))
		}
		st.step(st.node(args[0]), Lost{st.jobs[args[1]].id, cells})
	case "hold":
		st.node(args[0]).held[args[1]] = true
	case "give":
		return st.give(st.node(args[0]), args[1:])
	case "left":
		st.node(args[0]).gone = true
		for _, n := range st.nodes {
			if !n.gone {
				st.step(n, PeerLeft{job.PeerID(args[0])})
			}
		}
	case "shun":
		st.step(st.node(args[0]), Shunned{Peer: job.PeerID(args[1]), Blocked: len(args) > 2})
	case "back":
		st.node(args[0]).gone = false
		st.join(st.node(args[0]))
	case "restart", "resume":
		n := st.node(args[0])
		n.Scheduler, n.gone, n.owed = New(Config{Self: job.PeerID(n.name)}), false, nil
		if verb == "resume" {
			st.carryOut(n, n.Restore(st.now, maps.Clone(n.disk)))
		}
		a := n.advert
		st.step(n, Resources{&a})
		st.join(n)
	case "advert":
		n := st.node(args[0])
		set(&n.advert, opts)
		a := n.advert
		st.step(n, Resources{&a})
		for _, o := range st.nodes {
			if o != n && !o.gone {
				st.step(o, PeerJoined{job.PeerID(n.name), &a})
			}
		}
	case "send":
		return st.made(args)
	case "abort":
		st.step(st.node(args[0]), Abort{st.jobs[args[1]].manifest.Nonce, "canceled"})
	case "assembled":
		st.step(st.node(args[0]), Assembled{st.jobs[args[1]].id})
	case "show":
		st.show(st.node(args[0]), st.jobs[args[1]])
	default:
		return errors.New("no such command")
	}
	return nil
}

// set changes what an advert says.
func set(a *job.Advert, opts map[string]string) {
	a.Slots = number(opts["slots"], a.Slots)
	a.Speed = float(opts["speed"], a.Speed)
	if v, ok := opts["sandbox"]; ok {
		a.Sandbox = v
	}
	if v, ok := opts["version"]; ok {
		a.Environments[0].Version = v
	}
	if v, ok := opts["paused"]; ok {
		a.Paused = v == "yes"
	}
}

func (st *stage) join(n *actor) {
	for _, o := range st.nodes {
		if o != n && !o.gone && !n.gone {
			a, b := n.advert, o.advert
			st.step(o, PeerJoined{job.PeerID(n.name), &a})
			st.step(n, PeerJoined{job.PeerID(o.name), &b})
		}
	}
}

// made delivers a message that somebody might send.
func (st *stage) made(args []string) error {
	p := st.jobs[args[2]]
	num := func(i int) uint32 { return number(args[i], 0) }
	var m job.Message
	switch args[1] {
	case "claim":
		m = &job.Claim{Job: p.id, Range: job.Range{A: num(3), B: num(4)}, Gen: num(5)}
	case "done":
		m = &job.Done{Job: p.id, Cell: num(3), Output: testOutput(p.id, num(3)), Size: 1000}
	case "cancel":
		m = &job.Cancel{Job: p.id, Nonce: p.manifest.Nonce}
	case "revoked":
		m = &job.Revoked{Job: p.id, Peer: job.PeerID(args[3])}
	case "collected":
		m = &job.Collected{Job: p.id, Cells: job.Ranges{{A: num(3), B: num(4)}}}
	default:
		return errors.New("no such message")
	}
	for _, n := range st.nodes {
		if n.name != args[0] && !n.gone {
			st.step(n, Received{st.sealed(args[0], m)})
		}
	}
	return nil
}

func (st *stage) sealed(from string, m job.Message) job.Signed {
	s, err := job.Seal(testKey(from), m)
	if err != nil {
		panic(err)
	}
	opened, err := job.Open(testKey(from), s.Raw)
	if err != nil {
		panic(err)
	}
	return opened
}

// pass lets time go by, from one deadline to the next.
func (st *stage) pass(d time.Duration, deliver bool) {
	end := st.now + d
	for range 100_000 {
		if deliver {
			st.deliver(nil)
		}
		next := end
		for _, n := range st.nodes {
			if at, ok := n.Deadline(); ok && !n.gone {
				next = min(next, max(at, st.now))
			}
		}
		ticked := false
		st.now = next
		for _, n := range st.nodes {
			if at, ok := n.Deadline(); ok && at <= st.now && !n.gone {
				st.step(n, Tick{})
				ticked = true
			}
		}
		if st.now >= end && !ticked {
			return
		}
	}
	panic("time stands still")
}

func (st *stage) deliver(kinds []string) {
	for {
		i := slices.IndexFunc(st.mail, func(l letter) bool { return len(kinds) == 0 || slices.Contains(kinds, kindOf(l.msg.Msg)) })
		if i < 0 {
			return
		}
		l := st.mail[i]
		st.mail = slices.Delete(st.mail, i, i+1)
		to := st.node(l.to)
		switch {
		case to.gone && l.answer == 0 && l.ask != 0:
			st.nobody(l)
		case to.gone:
		case l.answer != 0:
			st.step(to, Answered{l.answer, l.msg, l.facts})
		case l.ask != 0:
			st.asked(to, l)
		default:
			st.step(to, Received{l.msg})
		}
	}
}

// nobody lets a request end without an answer.
func (st *stage) nobody(l letter) { st.step(st.node(l.from), Answered{ID: l.ask}) }

// asked serves a request: the reply goes back to the asker.
func (st *stage) asked(to *actor, l letter) {
	st.seq++
	for _, a := range st.do(to, Asked{st.seq, l.msg}) {
		switch a := a.(type) {
		case Reply:
			if a.Msg == nil {
				st.nobody(l)
			} else {
				st.mail = append(st.mail, letter{from: to.name, to: l.from, msg: st.sealed(to.name, a.Msg), answer: l.ask})
			}
		case ReplyState:
			r := letter{from: to.name, to: l.from, answer: l.ask}
			state := &job.State{}
			for _, f := range a.Facts {
				if f.Raw == nil {
					f = st.sealed(to.name, f.Msg)
				}
				state.Facts = append(state.Facts, f.Raw)
				r.facts = append(r.facts, f)
			}
			r.msg = st.sealed(to.name, state)
			st.mail = append(st.mail, r)
		}
	}
}

func (st *stage) step(n *actor, ev Event) { st.do(n, ev) }

// do takes a step, writes down its actions, and puts messages into the mail.
func (st *stage) do(n *actor, ev Event) []Action {
	actions := n.Step(st.now, ev)
	st.carryOut(n, actions)
	return actions
}

func (st *stage) carryOut(n *actor, actions []Action) {
	for _, a := range actions {
		st.write(n, a)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Persist:
			n.disk[a.Key] = a.Value
			if a.Value == nil {
				delete(n.disk, a.Key)
			}
		case Publish:
			st.gossip(n, st.sealed(n.name, a.Msg))
		case Relay:
			m, err := job.Open(testKey(""), a.Raw)
			if err != nil {
				panic(err)
			}
			st.gossip(n, m)
		case Send:
			st.mail = append(st.mail, letter{from: n.name, to: string(a.To), msg: st.sealed(n.name, a.Msg)})
		case Request:
			st.mail = append(st.mail, letter{from: n.name, to: string(a.To), msg: st.sealed(n.name, a.Msg), ask: a.ID})
		case FetchManifest:
			st.owe(n, "manifest", ManifestFetched{Job: a.Job, Manifest: st.piece(a.Job).manifest})
		case Prepare:
			st.owe(n, "prepared", Prepared{Job: a.Job})
		case Fetch:
			st.owe(n, "fetched", Fetched{a.Job, a.Cell, a.CID})
		}
	}
}

func (st *stage) gossip(n *actor, m job.Signed) {
	for _, o := range st.nodes {
		if o != n && !o.gone && o.name != string(m.From) {
			st.mail = append(st.mail, letter{from: n.name, to: o.name, msg: m})
		}
	}
}

// owe answers a node at once, unless that is held back.
func (st *stage) owe(n *actor, what string, ev Event) {
	if n.held[what] {
		n.owed = append(n.owed, ev)
		return
	}
	st.step(n, ev)
}

func (st *stage) give(n *actor, args []string) error {
	how := "ok"
	if len(args) > 2 {
		how = args[2]
	}
	for i, ev := range n.owed {
		switch e := ev.(type) {
		case ManifestFetched:
			if args[0] != "manifest" {
				continue
			}
			if how != "ok" {
				e.Manifest = nil
			}
			ev = e
		case Prepared:
			if args[0] != "prepared" {
				continue
			}
			if how != "ok" {
				e.Err = errors.New("no assets")
			}
			ev = e
		case Fetched:
			if args[0] != "fetched" || len(args) > 3 && number(args[3], 0) != e.Cell {
				continue
			}
			if how != "ok" {
				ev = FetchFailed{Job: e.Job, Cell: e.Cell, CID: e.CID, Bad: how == "bad", Here: how == "full"}
			}
		}
		n.owed = slices.Delete(n.owed, i, i+1)
		st.step(n, ev)
		return nil
	}
	return errors.New("nothing is owed")
}

func (st *stage) piece(id job.ID) *piece {
	for _, p := range st.jobs {
		if p.id == id {
			return p
		}
	}
	return &piece{name: "?"}
}

func kindOf(m job.Message) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", m), "*job."))
}

// write puts an action into the transcript. Pulls between nodes that know of no
// job, as every join makes them, are left out.
func (st *stage) write(n *actor, a Action) {
	text := ""
	switch a := a.(type) {
	case Persist:
		key := a.Key
		for _, p := range st.jobs {
			key = strings.ReplaceAll(key, string(p.id), p.name)
		}
		if a.Value == nil {
			text = "delete " + key
		} else {
			text = "persist " + key
		}
	case Publish:
		text = "publish " + st.message(a.Msg)
	case Relay:
		text = "relay"
	case Send:
		text = fmt.Sprintf("send %s %s", a.To, st.message(a.Msg))
	case Request:
		if pull, ok := a.Msg.(*job.Pull); ok && len(pull.Known) == 0 {
			return
		}
		text = fmt.Sprintf("ask %s %s", a.To, st.message(a.Msg))
	case Reply:
		text = "reply " + st.message(a.Msg)
	case ReplyState:
		if len(a.Facts) == 0 {
			return
		}
		var facts []string
		for _, f := range a.Facts {
			facts = append(facts, fmt.Sprintf("%s by %s", st.message(f.Msg), f.From))
		}
		text = fmt.Sprintf("reply state: %s", strings.Join(facts, ", "))
	case FetchManifest:
		text = fmt.Sprintf("fetch manifest %s from %v", st.piece(a.Job).name, a.From)
	case Warm:
		text = "warm"
	case Prepare:
		text = fmt.Sprintf("prepare %s", st.piece(a.Job).name)
	case Render:
		text = fmt.Sprintf("render %s %d", st.piece(a.Job).name, a.Cell)
	case Drop:
		text = fmt.Sprintf("drop %s %d", st.piece(a.Job).name, a.Cell)
	case Fetch:
		text = fmt.Sprintf("fetch %s %d from %v", st.piece(a.Job).name, a.Cell, a.From)
	case Assemble:
		text = fmt.Sprintf("assemble %s of %d cells", st.piece(a.Job).name, len(a.Cells))
	case Release:
		text = fmt.Sprintf("release %s", st.piece(a.Job).name)
	case Rewalk:
		text = fmt.Sprintf("rewalk %s", st.piece(a.Job).name)
	case RenderAlone:
		text = fmt.Sprintf("render alone %s: %s", st.piece(a.Job).name, a.Reason)
	case Fail:
		text = fmt.Sprintf("fail %s: %s", st.piece(a.Job).name, a.Reason)
	case Accuse:
		text = fmt.Sprintf("accuse %s of %s %d", a.Peer, st.piece(a.Job).name, a.Cell)
	case Disgrace:
		text = fmt.Sprintf("disgrace %s", a.Peer)
	case Tell:
		text = fmt.Sprintf("tell %s: %s", st.piece(a.Job).name, a.Text)
	}
	fmt.Fprintf(&st.out, "> %6.2f %s: %s\n", st.now.Seconds(), n.name, text)
}

func (st *stage) message(m job.Message) string {
	switch m := m.(type) {
	case nil:
		return "nothing"
	case *job.Ready:
		return fmt.Sprintf("ready slots=%d queue=%.1f", m.Slots, m.Queue)
	case *job.Offer:
		var who []string
		for _, r := range m.Roster {
			who = append(who, string(r.Peer))
		}
		return fmt.Sprintf("offer %s roster %v", st.piece(m.Job).name, who)
	case *job.Claim:
		granted := ""
		if m.Grant != nil {
			granted = " granted"
		}
		return fmt.Sprintf("claim %s %v gen %d%s", st.piece(m.Job).name, m.Range, m.Gen, granted)
	case *job.Progress:
		var held []string
		for _, h := range m.Held {
			held = append(held, fmt.Sprintf("%s %v gen %d", st.piece(h.Job).name, h.Left, h.Gen))
		}
		return fmt.Sprintf("progress idle %d %s", m.Idle, strings.Join(held, ", "))
	case *job.Released:
		return fmt.Sprintf("released %s %v gen %d cause %d %s", st.piece(m.Job).name, m.Range, m.Gen, m.Cause, m.Reason)
	case *job.Done:
		return fmt.Sprintf("done %s %d", st.piece(m.Job).name, m.Cell)
	case *job.Split:
		return fmt.Sprintf("split %s slots %d", st.piece(m.Job).name, m.Slots)
	case *job.Grant:
		if m.Range.Len() == 0 {
			return strings.TrimSpace(fmt.Sprintf("grant nothing %s", m.Hint))
		}
		return fmt.Sprintf("grant %v gen %d to %s", m.Range, m.Gen, m.To)
	case *job.Collected:
		final := ""
		if m.Final {
			final = " final"
		}
		if m.Epoch > 0 {
			final += fmt.Sprintf(" epoch %d", m.Epoch)
		}
		return fmt.Sprintf("collected %s %v%s", st.piece(m.Job).name, m.Cells, final)
	case *job.Revoked:
		return fmt.Sprintf("revoked %s: %s", m.Peer, m.Reason)
	case *job.Cancel:
		return fmt.Sprintf("cancel %s", m.Reason)
	case *job.Pull:
		var known []string
		for _, k := range m.Known {
			known = append(known, fmt.Sprintf("%s %v", st.piece(k.Job).name, k.Cells))
		}
		return strings.TrimSpace("pull " + strings.Join(known, ", "))
	}
	return kindOf(m)
}

// show writes down what a node knows of a job's cells.
func (st *stage) show(n *actor, p *piece) {
	j := n.find(p.id)
	if j == nil {
		fmt.Fprintf(&st.out, "> %s does not have %s\n", n.name, p.name)
		return
	}
	names := []string{"free", "claimed", "finished", "collected"}
	var last string
	from := uint32(0)
	flush := func(to uint32) {
		if to > from {
			fmt.Fprintf(&st.out, "> %s: %v %s\n", n.name, job.Range{A: from, B: to}, last)
		}
		from = to
	}
	for i := range uint32(len(j.cells)) {
		s := n.status(j, i)
		text := names[s.kind]
		if s.kind == claimed {
			text += fmt.Sprintf(" by %s gen %d", s.peer, j.cells[i].top.gen)
		} else if s.kind == finished {
			text += fmt.Sprintf(" by %s", s.peer)
		}
		if text != last {
			flush(i)
			last = text
		}
	}
	flush(uint32(len(j.cells)))
}

// testKey signs by a hash of the author's name.
type testKey string

func (k testKey) Self() job.PeerID { return job.PeerID(k) }

func (k testKey) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(k), data...))
	return sum[:8], nil
}

func (k testKey) Verify(by job.PeerID, data, sig []byte) error {
	if want, _ := testKey(by).Sign(data); !bytes.Equal(want, sig) {
		return errors.New("bad signature")
	}
	return nil
}
