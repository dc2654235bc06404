// SPDX-License-Identifier: MIT

package scheduler

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
)

// A sample finds the liar in 19 of 20 jobs, and one cell less would not, if each cell
// may be wrong; all the more if a share of them is.
func TestSample(t *testing.T) {
	none := func(n, wrong, k int) float64 { // the chance that k of n are all right
		p := 1.0
		for i := range k {
			p *= max(0, float64(n-wrong-i)/float64(n-i))
		}
		return p
	}
	for _, chance := range []float64{lieOfKnown, lieOfOpen} {
		for n := 1; n <= 300; n++ {
			unseen := func(k int) float64 { // of the jobs in which something is wrong
				some, missed := 0.0, 0.0
				p := math.Pow(1-chance, float64(n)) // that so many are wrong
				for wrong := 1; wrong <= n; wrong++ {
					p *= float64(n-wrong+1) / float64(wrong) * chance / (1 - chance)
					some += p
					missed += p * none(n, wrong, k)
				}
				return missed / some
			}
			k := sample(n, chance)
			if k < 1 || k > n || unseen(k) > missed+1e-9 || n > 1 && k > 1 && unseen(k-1) <= missed {
				t.Fatalf("%d of %d: missed in %v of jobs, with one less in %v", k, n, unseen(k), unseen(k-1))
			}
			if share := none(n, int(math.Ceil(float64(n)*chance)), k); share > missed {
				t.Fatalf("%d of %d: a share of %v is missed in %v of jobs", k, n, chance, share)
			}
		}
	}
	t.Log("of 5, 10, 20, 30, 100 cells:", sample(5, lieOfKnown), sample(10, lieOfKnown), sample(20, lieOfKnown), sample(30, lieOfKnown), sample(100, lieOfKnown),
		"open:", sample(5, lieOfOpen), sample(10, lieOfOpen), sample(20, lieOfOpen), sample(30, lieOfOpen), sample(100, lieOfOpen))
}

// referee is a submitter whose peers have rendered all cells of a job.
type referee struct {
	*Scheduler
	t       *testing.T
	now     time.Duration
	job     job.ID
	cells   int
	records map[string][]byte
	done    []Action
}

func newReferee(t *testing.T, trust Trust, secret string, cells int, peers ...job.PeerID) *referee {
	r := newSubmitter(t, Submit{Trust: trust, Secret: []byte(secret)}, cells, peers...)
	for i := range uint32(cells) {
		r.render(i, peers[int(i)%len(peers)], "")
	}
	return r
}

// newSubmitter returns one of whose job nothing is rendered.
func newSubmitter(t *testing.T, submit Submit, cells int, peers ...job.PeerID) *referee {
	return newSubmitterOf(t, job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "f"}, submit, cells, peers...)
}

func newSubmitterOf(t *testing.T, need job.Need, submit Submit, cells int, peers ...job.PeerID) *referee {
	m := &job.Manifest{
		V: job.Version, Submitter: "self", Name: "Scene", Need: need,
		Assets: job.CIDOf(nil), Width: 16, Height: 16, FPS: 1, CellFrames: 1, Plays: []job.Play{{Frames: uint32(cells)}},
	}
	_, id, err := m.Block()
	if err != nil {
		t.Fatal(err)
	}
	r := &referee{Scheduler: New(Config{Self: "self"}), t: t, job: id, cells: cells, records: make(map[string][]byte)}
	r.meetAll(peers)
	submit.Job, submit.Manifest = id, m
	r.step(submit)
	return r
}

func (r *referee) meetAll(peers []job.PeerID) {
	advert := &job.Advert{V: job.Version, Slots: 1, Speed: 1, Sandbox: "full", Environments: []job.Environment{{Renderer: "synthetic", Version: "1", Fingerprint: "f"}}}
	r.step(Resources{advert})
	for _, p := range peers {
		r.step(PeerJoined{p, advert})
	}
}

// render lets a peer say Done of a cell, and its bytes arrive.
func (r *referee) render(cell uint32, by job.PeerID, what string) {
	cid := job.CIDOf(fmt.Appendf(nil, "%d %s", cell, what))
	r.step(Received{job.Signed{From: by, Msg: &job.Done{Job: r.job, Cell: cell, Output: cid, Size: 1}, Raw: []byte(by)}})
	r.step(Fetched{r.job, cell, cid})
}

func (r *referee) step(ev Event) {
	r.now += time.Millisecond
	r.take(r.Step(r.now, ev))
}

func (r *referee) take(actions []Action) {
	for _, a := range actions {
		if p, ok := a.(Persist); ok {
			if r.records[p.Key] = p.Value; p.Value == nil {
				delete(r.records, p.Key)
			}
		}
		r.done = append(r.done, a)
	}
}

// taken returns those of a kind since it was last asked.
func taken[A Action](r *referee) (found []A) {
	r.done = slices.DeleteFunc(r.done, func(a Action) bool {
		one, ok := a.(A)
		if ok {
			found = append(found, one)
		}
		return ok
	})
	return found
}

// answer lets all checks end with a verdict, own rendered here, and returns the cells.
func (r *referee) answer(v Verdict, own job.CID) (cells []uint32) {
	for {
		found := taken[Check](r)
		if len(found) == 0 {
			slices.Sort(cells)
			return cells
		}
		for _, c := range found {
			cells = append(cells, c.Cell)
			r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: v, Own: own, Size: 1})
		}
	}
}

// Cells are checked before the film is assembled: so many of each peer, and which ones
// depends on the secret.
func TestChecksHoldUpAssembly(t *testing.T) {
	r := newReferee(t, TrustKnown, "a secret", 40, "a", "b")
	if len(taken[Assemble](r)) != 0 {
		t.Fatal("assembled before anything was checked")
	}
	first := r.answer(Right, "")
	if want := 2 * sample(20, lieOfKnown); len(first) < want || len(first) > want+8 {
		t.Errorf("%d cells checked, want a few more than %d", len(first), want)
	}
	if len(taken[Assemble](r)) != 1 {
		t.Fatal("not assembled when all is checked")
	}
	if other := newReferee(t, TrustKnown, "another secret", 40, "a", "b").answer(Right, ""); slices.Equal(first, other) {
		t.Errorf("with another secret the same cells are checked: %v", first)
	}
	if open := newReferee(t, TrustOpen, "a secret", 40, "a", "b").answer(Right, ""); len(open) <= len(first) {
		t.Errorf("%d cells checked of strangers, and %d of known ones", len(open), len(first))
	}
	if spot := newReferee(t, TrustSpot, "a secret", 40, "a", "b"); len(taken[Check](spot)) == 0 || len(taken[Assemble](spot)) != 1 {
		t.Error("spot checks are not begun, or hold up the film")
	}
	if mine := newReferee(t, TrustMine, "a secret", 40, "a", "b"); len(mine.answer(Right, "")) != 0 || len(taken[Assemble](mine)) != 1 {
		t.Error("the user's own nodes are checked")
	}
}

// A peer that is wrong once is wrong in all, and who only has a copy is not accused.
func TestFoundOut(t *testing.T) {
	r := newReferee(t, TrustKnown, "a secret", 40, "a", "b")
	c := taken[Check](r)[0]
	liar := r.find(r.job).cells[c.Cell].from
	r.step(Received{job.Signed{
		From: "c", Msg: &job.Done{Job: r.job, Cell: c.Cell, Output: c.Output, Size: 1}, Raw: []byte("c"),
		Of: &job.Signed{From: liar, Raw: []byte(liar)},
	}})
	r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: Wrong, Reason: "other pictures", Own: job.CIDOf([]byte("own")), Size: 1})
	accused := taken[Accuse](r)
	if len(accused) != 1 || accused[0].Peer != liar || string(accused[0].Word) != string(liar) || accused[0].Output != c.Output || accused[0].Own != job.CIDOf([]byte("own")) {
		t.Fatalf("accused %+v, the liar is %s", accused, liar)
	}
	j := r.find(r.job)
	if j.open != 19 { // its 20, but for the one that the check has rendered
		t.Errorf("%d cells are open again", j.open)
	}
	for i := range j.cells {
		if c := &j.cells[i]; c.collected && c.from == liar || j.out("c") {
			t.Errorf("cell %d of the liar still counts, or a copy is held against its holder", i)
		}
	}
	for i := range uint32(40) {
		if !j.cells[i].collected {
			r.render(i, "d", "again")
		}
	}
	r.answer(Right, "")
	made := taken[Assemble](r)
	if len(made) != 1 || made[0].Cells[c.Cell] != job.CIDOf([]byte("own")) {
		t.Errorf("assembled %+v", made)
	}
}

// Whatever a liar says, or does not, after its cells are collected: it is accused with its
// own word, also when the submitter begins anew, and when it is only known by the copy of
// another, who is not.
func TestEvidence(t *testing.T) {
	const cells = 8
	for _, how := range []string{"plain", "lost", "left", "copied", "restart"} {
		r := newSubmitter(t, Submit{Trust: TrustKnown, Secret: []byte("a secret")}, cells, "liar", "keeper")
		for i := range uint32(cells) {
			cid := job.CIDOf([]byte{byte(i)})
			word := job.Signed{From: "liar", Msg: &job.Done{Job: r.job, Cell: i, Output: cid, Size: 1}, Raw: []byte("liar")}
			if how == "copied" {
				of := word
				word = job.Signed{From: "keeper", Msg: of.Msg, Raw: []byte("keeper"), Of: &of}
			}
			r.step(Received{word})
			r.step(Fetched{r.job, i, cid})
		}
		switch how {
		case "lost":
			r.step(Received{job.Signed{From: "liar", Msg: &job.Released{Job: r.job, Range: job.Range{B: cells}, Gen: 1 << 31, Cause: job.CauseLost}}})
		case "left":
			r.step(PeerLeft{"liar"})
		case "restart":
			r.Scheduler, r.done = New(Config{Self: "self"}), nil
			r.take(r.Restore(0, r.records))
			r.meetAll(nil)
			r.step(Prepared{Job: r.job})
		}
		c := taken[Check](r)[0]
		r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: Wrong, Own: job.CIDOf([]byte("own")), Size: 1})
		if a := taken[Accuse](r); len(a) != 1 || a[0].Peer != "liar" || string(a[0].Word) != "liar" {
			t.Errorf("%s: accused %+v", how, a)
		}
		if j := r.find(r.job); !j.revoked("liar") || j.out("keeper") || j.open != cells-1 {
			t.Errorf("%s: the liar counts, or the keeper does not; %d cells are open", how, j.open)
		}
	}
}

// With --strict the bytes of all that work on a job must be equal, also of who says that
// his computer is of another kind; but then he may be honest, and is not accused.
func TestStrictChecksAreExact(t *testing.T) {
	for _, strict := range []bool{false, true} {
		need := job.Need{Renderer: "synthetic", Version: "1", Fingerprint: "f", SelfTest: "same", Strict: strict}
		r := newSubmitterOf(t, need, Submit{Trust: TrustOpen, Secret: []byte("a secret")}, 4)
		r.step(PeerJoined{"other", &job.Advert{V: job.Version, Slots: 1, Speed: 1, Sandbox: "full", Environments: []job.Environment{
			{Renderer: "synthetic", Version: "1", Fingerprint: "another", SelfTest: "same"},
		}}})
		for i := range uint32(4) {
			r.render(i, "other", "")
		}
		checks := taken[Check](r)
		if len(checks) == 0 {
			t.Fatal("nothing is checked")
		}
		if c := checks[0]; c.Exact != strict {
			t.Errorf("strict %v: a check is exact: %v", strict, c.Exact)
		} else {
			r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: Wrong, Own: job.CIDOf([]byte("own")), Size: 1})
		}
		if a := taken[Accuse](r); len(a) > 0 || !r.find(r.job).revoked("other") {
			t.Errorf("strict %v: accused %+v, revoked: %v", strict, a, r.find(r.job).revoked("other"))
		}
	}
}

// restart begins the submitter anew with what it has on disk, and those peers.
func (r *referee) restart(peers ...job.PeerID) {
	r.Scheduler, r.done = New(Config{Self: "self"}), nil
	r.take(r.Restore(0, r.records))
	r.meetAll(peers)
}

// After a restart no check is forgotten: what was found right is not checked again, and
// the same cells are chosen.
func TestChecksAfterRestart(t *testing.T) {
	r := newReferee(t, TrustKnown, "a secret", 40, "a", "b")
	found := taken[Check](r)
	half := []uint32{found[0].Cell}
	r.step(Checked{Job: r.job, Cell: found[0].Cell, Output: found[0].Output, Verdict: Right, Own: found[0].Output, Size: 1})
	rest := slices.Sorted(slices.Values(r.answer(Right, "")))
	again := newReferee(t, TrustKnown, "a secret", 40, "a", "b")
	found = taken[Check](again)
	again.step(Checked{Job: r.job, Cell: found[0].Cell, Output: found[0].Output, Verdict: Right, Own: found[0].Output, Size: 1})
	again.restart("a", "b")
	again.step(Prepared{Job: r.job})
	if late := again.answer(Right, ""); slices.Contains(late, half[0]) || len(late) < sample(20, lieOfKnown)*2-1 {
		t.Errorf("after a restart %v are checked, without it %v and %v", late, half, rest)
	}
	if len(taken[Assemble](again)) != 1 {
		t.Error("not assembled")
	}
}

// What a check finds is never too late: the film is not begun while one runs, but for
// spot checks, which are dropped then. One that a later cell has pushed out of the sample
// may still run.
func TestChecksEndBeforeAssembly(t *testing.T) {
	const cells = 40
	for _, trust := range []Trust{TrustSpot, TrustKnown, TrustOpen} {
		late := 0
		for secret := range 30 {
			r := newSubmitter(t, Submit{Trust: trust, LocalSlots: 4, Secret: fmt.Append(nil, secret)}, cells, "a", "b")
			begun, slow := 0, Check{}
			settle := func() {
				for _, c := range taken[Check](r) {
					if begun++; begun%9 == 5 && slow.Output == "" { // this one takes its time
						slow = c
						continue
					}
					r.step(Checked{Job: r.job, Cell: c.Cell, Output: c.Output, Verdict: Right, Own: c.Output, Size: 1})
				}
			}
			for i := range uint32(cells) {
				r.render(i, []job.PeerID{"a", "b"}[i%2], "")
				settle()
			}
			for range cells {
				settle()
			}
			made := len(taken[Assemble](r))
			if slow.Output == "" {
				continue
			}
			late++
			r.step(Checked{Job: r.job, Cell: slow.Cell, Output: slow.Output, Verdict: Wrong, Own: job.CIDOf([]byte("own")), Size: 1})
			if blamed := len(taken[Disgrace](r)) > 0; blamed == (made > 0) {
				t.Errorf("%v, secret %d: %d films begun, and the peer is found out: %v", trust, secret, made, blamed)
			}
		}
		if late == 0 {
			t.Errorf("%v: no check was late", trust)
		}
	}
}

// A spot check that comes to nothing is tried again, and then done without; the user is
// told.
// The secret is one by which one of so few is chosen before the end.
func TestUncheckable(t *testing.T) {
	r := newSubmitter(t, Submit{Trust: TrustSpot, Secret: []byte("two")}, 17, "a")
	for i := range uint32(16) {
		r.render(i, "a", "")
	}
	for range maxCheckTries {
		if n := len(r.answer(Undecided, "")); n != 1 {
			t.Fatalf("%d checks", n)
		}
		r.now += time.Minute * 2
		r.step(Tick{})
	}
	if !slices.ContainsFunc(taken[Tell](r), func(n Tell) bool { return strings.Contains(n.Text, "of a could not be checked: ") }) {
		t.Error("nobody was told")
	}
	if r.render(16, "a", ""); len(taken[Assemble](r)) != 1 {
		t.Error("not assembled")
	}
}

// In the other levels what a check has rendered here is taken in place of what it cannot
// compare; and if it has not, the cell is rendered here, whoever else says Done.
func TestUncheckableIsRenderedHere(t *testing.T) {
	for _, own := range []job.CID{"", job.CIDOf([]byte("own"))} {
		r := newReferee(t, TrustKnown, "a secret", 1, "a", "b")
		for range maxCheckTries {
			if len(taken[Assemble](r)) != 0 {
				t.Fatal("assembled before it was checked")
			}
			if n := len(r.answer(Undecided, own)); n != 1 {
				t.Fatalf("%d checks", n)
			}
			r.now += time.Minute * 2
			r.step(Tick{})
		}
		if own == "" {
			taken[Fetch](r)
			r.step(Received{job.Signed{From: "b", Msg: &job.Done{Job: r.job, Output: job.CIDOf([]byte("b")), Size: 1}, Raw: []byte("b")}})
			if n := taken[Render](r); len(n) != 1 || len(taken[Fetch](r)) != 0 {
				t.Fatalf("rendered here: %+v; or it is fetched again", n)
			}
			own = job.CIDOf([]byte("own"))
			r.step(Rendered{r.job, 0, own, 1, 1})
		}
		if made := taken[Assemble](r); len(made) != 1 || made[0].Cells[0] != own {
			t.Errorf("assembled %+v", made)
		}
	}
}

// A cell that cannot be looked at, and that cannot be rendered here either, does not hang
// the job: it is tried here after three looks, and ends the job after three tries.
func TestBlind(t *testing.T) {
	for _, fails := range []bool{false, true} {
		r := newSubmitter(t, Submit{Trust: TrustSpot}, 1, "a")
		cid := job.CIDOf([]byte("large"))
		r.step(Received{job.Signed{From: "a", Msg: &job.Done{Job: r.job, Output: cid, Size: 1}, Raw: []byte("a")}})
		for range maxFetchTries {
			if n := len(taken[Fetch](r)); n != 1 || len(taken[Render](r)) != 0 {
				t.Fatalf("%d fetches, or rendered here", n)
			}
			r.step(FetchFailed{Job: r.job, CID: cid, Size: 1, Blind: true})
			r.now += 9 * time.Second
			r.step(PeerJoined{"a", r.peer("a").advert})
		}
		for range maxFailures {
			if n := len(taken[Render](r)); n != 1 || len(taken[Fail](r)) != 0 {
				t.Fatalf("%d renderings here, or the job has ended", n)
			}
			if !fails {
				break
			}
			r.step(RenderFailed{Job: r.job, Reason: "too large"})
			r.now += time.Minute
			r.step(Tick{})
		}
		if fails {
			if f := taken[Fail](r); len(f) != 1 || f[0].Reason != "too large" {
				t.Errorf("failed %+v", f)
			}
			continue
		}
		if r.step(Rendered{r.job, 0, job.CIDOf([]byte("own")), 1, 1}); len(taken[Assemble](r)) != 1 || r.find(r.job).revoked("a") {
			t.Error("not assembled, or the peer is to blame")
		}
	}
}
