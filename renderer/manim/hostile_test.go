// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/renderer/sandbox"
)

// hostilePlan plans testdata/hostile, whose scene behaves well on the submitter.
func hostilePlan(t *testing.T, r *Renderer) *renderer.Plan {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	if err := os.CopyFS(dir, os.DirFS("testdata/hostile")); err != nil {
		t.Fatal(err)
	}
	own, err := r.Take(t.Context(), renderer.Own, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	plan, err := own.Plan(t.Context(), renderer.Request{
		Args: []string{"scenes.py", "Hostile", "-ql", "--seed", "1", "--media_dir", filepath.Join(dir, "media")},
		Dir:  dir, Env: os.Environ(), CellFrames: 4,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// attack has a Foreign engine of r render the first cell of the hostile scene, with
// the order in its attack.json. outcome is what the scene reports, if it does.
func attack(t *testing.T, r *Renderer, plan *renderer.Plan, order map[string]any, missing renderer.Missing, within time.Duration) (e *engine, out *renderer.Rendered, outcome map[string]string, err error) {
	t.Helper()
	taken, err := r.Take(t.Context(), renderer.Foreign, firstOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	e = taken.(*engine)
	t.Cleanup(func() { e.Close() })
	order["out"], order["engine"] = e.hub.proc.Dirs().Out, r.look().entry
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range plan.Files {
		data, err := os.ReadFile(f.Source)
		if strings.HasSuffix(f.Path, "attack.json") {
			data = text
		}
		err = errors.Join(err, e.In().MkdirAll(path.Dir(f.Path), 0o700), e.In().WriteFile(f.Path, data, 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Load(t.Context(), &job.Manifest{Spec: plan.Spec, Plays: plan.Plays, FPS: plan.FPS, CellFrames: plan.CellFrames}, missing); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	out, err = e.Render(ctx, 0)
	said := fmt.Sprint(err)
	if failed := (*renderer.SceneError)(nil); errors.As(err, &failed) {
		said = failed.Text
	}
	if i := strings.LastIndex(said, "REPORT "); i >= 0 {
		report, _, _ := strings.Cut(said[i+len("REPORT "):], " END")
		if json.Unmarshal([]byte(report), &outcome) != nil {
			outcome = map[string]string{"said": report}
		}
	}
	return e, out, outcome, err
}

// inTier returns a renderer that puts strangers' scenes into that tier.
func inTier(t *testing.T, name sandbox.Tier) *Renderer {
	r := realRenderer(t)
	t.Cleanup(func() { r.Close() })
	r.tier = onceValue[tier]{}
	r.tier.get(func() tier { return tier{name: name} })
	r.urgent = true // the tests of a busy machine would take too long
	return r
}

// tiersHere are those that hold, or the one that was asked for.
func tiersHere(t *testing.T, r *Renderer) []sandbox.Tier {
	env, err := r.first()
	if err != nil {
		t.Skip(err)
	}
	wanted := []sandbox.Tier{sandbox.Own, sandbox.Bwrap, sandbox.Basic}
	if name := os.Getenv("MESHNODE_TEST_TIER"); name != "" {
		wanted = []sandbox.Tier{sandbox.Tier(name)}
	}
	var tiers []sandbox.Tier
	for _, tier := range wanted {
		if trial := sandbox.ProbeTier(t.Context(), tier, r.runtime(env), r.cfg.Scratch); trial.Holds {
			tiers = append(tiers, tier)
		} else {
			t.Logf("not in tier %s: %s", tier, trial.Reason)
		}
	}
	if len(tiers) == 0 {
		t.Skipf("none of %v holds here", wanted)
	}
	return tiers
}

// noFile lends nothing.
func noFile(_ context.Context, name string) (string, error) {
	return "", fmt.Errorf("%s is not to be had", name)
}

// TestSceneSurvey has a scene try what harms nobody if it works, in each tier, and
// where nothing stops it. What it leaves the next job does not find, which has the
// lowest priority.
func TestSceneSurvey(t *testing.T) {
	r := realRenderer(t)
	defer r.Close()
	tiers := tiersHere(t, r)
	plan := hostilePlan(t, r)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("MESHNODE_SECRET", "of the node")
	t.Setenv("TMPDIR", t.TempDir()) // of jobs in Direct
	for _, tier := range append(tiers, sandbox.Direct) {
		t.Run(string(tier), func(t *testing.T) {
			order := map[string]any{
				"attack": "survey", "secret": filepath.Join(home, "secret"),
				"listener": []any{"127.0.0.1", listener.Addr().(*net.TCPAddr).Port}, "harmless": tier == sandbox.Direct,
			}
			r := inTier(t, tier)
			e, _, outcome, err := attack(t, r, plan, order, noFile, time.Minute)
			if len(outcome) < 25 {
				t.Fatal(err)
			}
			through := 0
			for _, name := range slices.Sorted(maps.Keys(outcome)) {
				t.Logf("%-45s %s", name, outcome[name])
				if outcome[name] != "through" {
					continue
				}
				through++
				if tier != sandbox.Direct {
					t.Errorf("%s: got through", name)
				}
			}
			if tier == sandbox.Direct && through < 15 {
				t.Errorf("only %d of %d get through without a sandbox: the attacks are wrong", through, len(outcome))
			}
			e.Close()
			r.urgent = false
			_, _, outcome, err = attack(t, r, plan, map[string]any{"attack": "look"}, noFile, 3*time.Minute)
			if len(outcome) == 0 || (outcome["found"] == "") == (tier == sandbox.Direct) {
				t.Errorf("the next job found %q (%v)", outcome["found"], err)
			}
			if tier != sandbox.Direct && outcome["nice"] != "19" {
				t.Errorf("the next job has priority %q", outcome["nice"])
			}
		})
	}
}

// TestSceneAttacks has a scene do its worst to the engine it runs in. The node
// goes on, nothing is left, and what is read of it is only what it may give.
func TestSceneAttacks(t *testing.T) {
	r := realRenderer(t)
	t.Cleanup(func() { r.Close() })
	tiers := tiersHere(t, r)
	plan := hostilePlan(t, r)
	const mib = 1 << 20
	small := func(l *sandbox.Limits) {
		l.Memory, l.Stderr, l.Out = 700*mib, 8*mib, sandbox.Space{Bytes: 32 * mib, Files: 100}
	}
	tests := []struct {
		attack string
		order  map[string]any
		within time.Duration
		want   []string // one of these is in the error
	}{
		{"forge", map[string]any{"files": []string{"../in/project/scenes.py", "/etc/passwd", "none", "a\nb", ".", "", "0.mp4/../../x"}}, time.Minute, nil},
		{"forge", map[string]any{"files": []string{strings.Repeat("x", 900_000)}}, time.Minute, nil},
		{"forge_needs", map[string]any{"paths": []string{"../../../etc/passwd"}}, time.Minute, []string{"need: "}},
		{"forge_needs", map[string]any{"paths": []string{"/etc/passwd"}}, time.Minute, []string{"need: "}},
		{"forge_needs", map[string]any{"paths": numbered(1100)}, time.Minute, []string{"more than 1000 files"}},
		{"forge_needs", map[string]any{"paths": numbered(1100), "deaf": true}, 10 * time.Second, []string{"deadline", "more than 1000 files", "died"}}, // the hub waits for it for 5 s
		{"chatter", nil, time.Minute, []string{"has said more than"}},
		{"half_a_message", nil, 5 * time.Second, []string{"deadline"}},
		{"escape_codes", nil, time.Minute, []string{"owned"}},
		{"endless", nil, 5 * time.Second, []string{"deadline"}},
		{"kill_the_hub", nil, 5 * time.Second, []string{"engine ended", "deadline"}}, // number 1 of a namespace heeds no signal
		{"stop_the_hub", nil, 5 * time.Second, []string{"deadline"}},
		{"crash", nil, time.Minute, []string{"died"}},
		{"recursion", nil, time.Minute, []string{"died", "memory", "RecursionError", "MemoryError"}},
		{"allocate", nil, time.Minute, []string{"memory"}},
		{"log_flood", nil, 5 * time.Second, []string{"deadline", "printed too much"}}, // only the submitter's walk is heard
		{"fork_bomb", nil, 5 * time.Second, []string{"deadline", "too many processes"}},
		{"fill", nil, time.Minute, []string{"No space left", "wrote too much", "File too large"}},
		{"huge_svg", nil, 10 * time.Second, []string{"memory", "deadline"}},
		{"broken_fonts", nil, time.Minute, []string{"fonts", "died", "deadline"}},
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(i, " ", test.attack), func(t *testing.T) {
			t.Parallel()
			r := inTier(t, tiers[0])
			r.limits = small
			order := map[string]any{"attack": test.attack}
			maps.Copy(order, test.order)
			begin := time.Now()
			e, out, _, err := attack(t, r, plan, order, noFile, test.within)
			t.Logf("after %v: %.300v", time.Since(begin).Round(time.Millisecond), err)
			if test.want != nil && !slices.ContainsFunc(test.want, func(w string) bool { return strings.Contains(fmt.Sprint(err), w) }) {
				t.Errorf("ended with %.500v, want one of %q", err, test.want)
			}
			if !e.alive() && err != nil && !errors.Is(err, renderer.ErrEnded) {
				t.Errorf("the engine is gone, and the error does not say so: %v", err)
			}
			if len(fmt.Sprint(err)) > textLimit+1000 {
				t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
			}
			if out != nil {
				for _, name := range out.Files {
					if f, _, err := renderer.OpenOutput(e.Out(), name, mib); err == nil {
						t.Errorf("%q was opened", name)
						f.Close()
					}
				}
			}
			begin = time.Now()
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v to end", took)
			}
		})
	}
}

// numbered returns that many names.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("file", i)
	}
	return names
}
