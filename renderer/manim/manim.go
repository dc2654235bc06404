// SPDX-License-Identifier: MIT

package manim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pbnjay/memory"

	"meshnode/renderer"
	"meshnode/renderer/fmp4"
	"meshnode/renderer/sandbox"
)

// Config says where and how the renderer works.
type Config struct {
	Home     string // folder of the node
	Secret   string // file that jobs of others must not see, beside those of Home; "": none
	Scratch  string // folder for own engines' files
	Python   string // interpreter with Manim, to have before those of the home; "": none
	Slots    int    // cells that an engine renders at a time
	KeepWarm bool   // start the next engine when one has ended
	Log      *slog.Logger
}

// Renderer is Manim on this machine.
type Renderer struct {
	cfg  Config
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	found  onceValue[found]
	tier   onceValue[tier]
	limits func(*sandbox.Limits) // in tests: changes those of Foreign engines; may be nil
	urgent bool                  // in tests: Foreign engines keep their priority
	memory *sandbox.Budget       // of all Foreign engines

	mu     sync.Mutex                     // guards what follows
	envs   []installed                    // in the order of Environments
	tests  map[string]*selfTest           // by environment
	idle   map[renderer.Trust][]*starting // one of an environment, that used last at the end
	closed bool
	starts sync.WaitGroup
}

// tier is the sandbox in use.
type tier struct {
	name sandbox.Tier
	err  error
}

// New returns the renderer. It starts nothing yet.
func New(cfg Config) *Renderer {
	r := &Renderer{cfg: cfg, idle: make(map[renderer.Trust][]*starting), tests: make(map[string]*selfTest)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	if total := memory.TotalMemory(); total > 0 {
		r.memory = sandbox.NewBudget(mostOf(total))
	}
	return r
}

// Name returns "manim".
func (r *Renderer) Name() string { return "manim" }

// onceValue computes a value once, for all who ask.
type onceValue[T any] struct {
	once  sync.Once
	value T
}

func (o *onceValue[T]) get(make func() T) T {
	o.once.Do(func() { o.value = make() })
	return o.value
}

// Sandbox returns the tier that held against the probes and in which an engine
// has started, once tried. That engine is then the idle one.
func (r *Renderer) Sandbox(ctx context.Context) (string, error) {
	first, err := r.first()
	if err != nil {
		return string(sandbox.None), err
	}
	t := r.probe(first)
	if t.err != nil {
		return string(t.name), t.err
	}
	r.Warm(renderer.Foreign, first.id)
	r.mu.Lock()
	s := r.idleOf(renderer.Foreign, first.id)
	r.mu.Unlock()
	if s == nil {
		return string(t.name), nil // taken already, or the renderer is closed
	}
	select {
	case <-s.done:
		if s.err != nil {
			return string(sandbox.None), fmt.Errorf("manim: no engine starts in the sandbox, so other nodes' jobs are refused: %w", s.err)
		}
		return string(t.name), nil
	case <-ctx.Done():
		return string(sandbox.None), ctx.Err()
	}
}

// probe chooses the tier, once: it does not depend on the environment.
func (r *Renderer) probe(env installed) tier {
	return r.tier.get(func() tier {
		runtime := r.runtime(env)
		runtime.Check = []string{env.Python, "-s", "-c", ""} // Manim is imported by the first engine
		report := sandbox.Probe(r.ctx, runtime, r.cfg.Scratch)
		if report.Tier == sandbox.None {
			return tier{sandbox.None, fmt.Errorf("manim: no sandbox holds here, so other nodes' jobs are refused: %s", report.Reason)}
		}
		return tier{report.Tier, nil}
	})
}

// runtime is what a sandboxed engine may read.
func (r *Renderer) runtime(env installed) sandbox.Runtime {
	runtime := sandbox.Runtime{
		ReadOnly: append([]string{filepath.Dir(r.look().entry)}, env.Prefixes...),
		Secret:   []string{r.cfg.Home},
	}
	if r.cfg.Secret != "" {
		runtime.Secret = append(runtime.Secret, r.cfg.Secret)
	}
	return runtime
}

// Stream implements renderer.Streamer.
func (r *Renderer) Stream(w io.Writer, frames uint32) renderer.Stream {
	return fmp4.NewWriter(w, frames)
}

// starting is an engine that is being started, or is idle.
type starting struct {
	env    string
	done   chan struct{} // closed when it is there, or has failed
	engine *engine
	err    error
}

// maxIdle is how many environments have an idle engine for jobs of a trust: those used
// last. Such an engine takes some 80 MiB.
const maxIdle = 2

// idleOf returns the idle engine of an environment, nil if there is none. r.mu is held.
func (r *Renderer) idleOf(trust renderer.Trust, env string) *starting {
	for _, s := range r.idle[trust] {
		if s.env == env {
			return s
		}
	}
	return nil
}

// remove takes an engine off the idle ones, if it is among them. r.mu is held.
func (r *Renderer) remove(trust renderer.Trust, s *starting) {
	r.idle[trust] = slices.DeleteFunc(r.idle[trust], func(other *starting) bool { return other == s })
}

// Warm starts an idle engine unless there is one. It does not wait.
func (r *Renderer) Warm(trust renderer.Trust, env string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if s := r.idleOf(trust, env); s != nil {
		r.remove(trust, s)
		r.idle[trust] = append(r.idle[trust], s)
		return
	}
	if idle := r.idle[trust]; len(idle) == maxIdle {
		oldest := idle[0]
		r.remove(trust, oldest)
		r.discard(oldest)
	}
	s := &starting{env: env, done: make(chan struct{})}
	r.idle[trust] = append(r.idle[trust], s)
	r.starts.Go(func() {
		defer close(s.done)
		s.engine, s.err = r.start(r.ctx, trust, env, defaultHashSeed)
		if s.err != nil {
			r.mu.Lock()
			r.remove(trust, s)
			r.mu.Unlock()
			if r.ctx.Err() == nil {
				r.cfg.Log.Debug("no warm engine", "err", s.err)
			}
		}
	})
}

// Take returns the idle engine, or a new one.
func (r *Renderer) Take(ctx context.Context, trust renderer.Trust, env string) (renderer.Engine, error) {
	e, err := r.take(ctx, trust, env)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (r *Renderer) take(ctx context.Context, trust renderer.Trust, env string) (*engine, error) {
	r.mu.Lock()
	s := r.idleOf(trust, env)
	r.remove(trust, s)
	r.mu.Unlock()
	if s != nil {
		select {
		case <-s.done:
		case <-ctx.Done():
			r.discard(s)
			return nil, ctx.Err()
		}
		if s.err == nil && s.engine.alive() {
			return s.engine, nil
		}
		r.discard(s)
	}
	return r.start(ctx, trust, env, defaultHashSeed)
}

// discard closes an engine that nobody wants, once it is there.
func (r *Renderer) discard(s *starting) {
	r.starts.Go(func() {
		<-s.done
		if s.engine != nil {
			s.engine.Close()
		}
	})
}

// Close ends all idle engines.
func (r *Renderer) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, s := range slices.Concat(slices.Collect(maps.Values(r.idle))...) {
		r.discard(s)
	}
	clear(r.idle)
	r.mu.Unlock()
	r.stop()
	r.starts.Wait()
	return nil
}

// ended is told that an engine's job is over.
func (r *Renderer) ended(trust renderer.Trust, env string) {
	if r.cfg.KeepWarm {
		r.Warm(trust, env)
	}
}

// spec says how an engine is started.
func (r *Renderer) spec(env installed, trust renderer.Trust, hashSeed string) (sandbox.Tier, sandbox.Spec, error) {
	spec := sandbox.Spec{
		Argv:   []string{env.Python, "-s", r.look().entry},
		Limits: sandbox.DefaultLimits(),
	}
	own := []string{"PYTHONHASHSEED=" + hashSeed, "PYTHONDONTWRITEBYTECODE=1"}
	t := tier{name: sandbox.Direct}
	if trust != renderer.Own {
		if t = r.probe(env); t.err != nil {
			return "", spec, t.err
		}
	}
	if t.name == sandbox.Direct || t.name == sandbox.Basic {
		scratch, err := os.MkdirTemp(r.cfg.Scratch, "engine-")
		if err != nil {
			return "", spec, fmt.Errorf("manim: scratch: %w", err)
		}
		spec.Scratch = scratch
	}
	if t.name == sandbox.Direct {
		spec.Env = append(os.Environ(), own...)
		return t.name, spec, nil
	}
	spec.Runtime = r.runtime(env)
	spec.Env = own
	spec.Limits.Memory = memoryFor(spec.Limits.Memory, r.cfg.Slots, memory.TotalMemory())
	spec.Limits.Shared = r.memory
	spec.Limits.In.Bytes = filesFor(spec.Limits.In.Bytes, memory.TotalMemory())
	if r.limits != nil {
		r.limits(&spec.Limits)
	}
	return t.name, spec, nil
}

// memoryFor returns the bytes that an engine for others may use: so many for each of
// its slots, but never all of a machine, of which total is known if it is not 0.
func memoryFor(each int64, slots int, total uint64) int64 {
	most := each * int64(max(1, slots))
	if total > 0 {
		most = min(most, mostOf(total))
	}
	return most
}

// mostOf returns how much of a machine's memory engines for others may use, together.
func mostOf(total uint64) int64 { return int64(total / 4 * 3) }

// filesFor returns the bytes that the files of another's job may take: they are in
// memory, so a quarter of the machine's, but least where that is less or not known.
func filesFor(least int64, total uint64) int64 {
	return max(least, int64(total/4))
}

// errHello is wrapped when an engine does not say what it must.
var errHello = errors.New("manim: the engine did not start")

var (
	_ renderer.Renderer = (*Renderer)(nil)
	_ renderer.Streamer = (*Renderer)(nil)
)
