// SPDX-License-Identifier: MIT

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meshnode/job"
	"meshnode/renderer"
	"meshnode/scheduler"
)

// check renders a cell of a job of this node and compares it with what a peer has
// rendered. A check that is dropped meanwhile is not reported.
func (n *Node) check(a scheduler.Check) {
	w := n.workOn(a.Job)
	w.atCell(a.Cell, func(ctx context.Context) (report func()) {
		found := n.checkCell(ctx, w, a)
		return func() {
			if found.Own != "" && found.Verdict != scheduler.Right { // it may be taken instead
				w.has(a.Cell, found.Own)
			}
			if found.Verdict == scheduler.Right {
				n.log.Debug("cell checked", "job", a.Job.Short(), "cell", a.Cell)
			} else {
				n.log.Warn("cell checked", "job", a.Job.Short(), "cell", a.Cell, "verdict", found.Verdict, "why", found.Reason)
			}
			n.post(found)
		}
	})
}

// checkCell finds out whether a cell is what the scene draws. Before it says no, the
// cell is rendered once more here, and by an engine that has walked the scene as a
// peer's does: an honest peer is not to be blamed for what is wrong with this node.
func (n *Node) checkCell(ctx context.Context, w *work, a scheduler.Check) scheduler.Checked {
	found := scheduler.Checked{Job: a.Job, Cell: a.Cell, Output: a.Output}
	undecided := func(what string, err error) scheduler.Checked {
		found.Reason = what + ": " + reasonOf(err)
		n.lookAtDisk()
		return found
	}
	own, err := n.renderCell(ctx, w, a.Cell)
	if err != nil {
		return undecided("not rendered here", err)
	}
	found.Own, found.Size = own.Output, own.Size
	if own.Output == a.Output {
		found.Verdict = scheduler.Right
		return found
	}
	r := w.refereeOf()
	if _, err := n.engineOf(ctx, r); err != nil {
		return undecided("no engine to compare with", err)
	}
	if !a.Exact {
		if err := n.compareCells(ctx, r, a.Cell, own.Output, a.Output); err == nil {
			found.Verdict = scheduler.Right
			return found
		} else if !errors.Is(err, renderer.ErrUnlike) {
			return undecided("not compared", err)
		} else {
			found.Reason = reasonOf(err)
		}
	}
	again, err := n.renderCell(ctx, w, a.Cell)
	if err != nil {
		return undecided("not rendered here again", err)
	}
	other, err := n.renderCell(ctx, r, a.Cell)
	switch {
	case err != nil:
		return undecided("not rendered by another engine", err)
	case again.Output == a.Output: // and other does not matter: this computer has made the mistake
		found.Verdict, found.Own, found.Size = scheduler.Right, again.Output, again.Size
		n.log.Error("this computer has rendered a cell in two ways: is its memory sound?", "job", a.Job.Short(), "cell", a.Cell)
	case again.Output != own.Output || other.Output != own.Output:
		found.Verdict, found.Reason = scheduler.Unsteady, fmt.Sprintf("cell %d differs from walk to walk", a.Cell)
	default:
		found.Verdict = scheduler.Wrong
		if found.Reason == "" {
			found.Reason = "its bytes are others"
		}
	}
	return found
}

// refereeOf returns the part in a job that an engine has which stands for a peer's: it
// has walked the scene from what peers are given. It is made when two results differ.
func (w *work) refereeOf() *work {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.referee == nil {
		w.referee = &work{job: w.job, ctx: w.ctx, env: w.man.Need.Fingerprint, fallBack: true}
	}
	return w.referee
}

// lookTime bounds the look at a cell, with the start of the engine that looks.
const lookTime = 2 * time.Minute

// lookTries is how many engines may end over a cell, or take too long, before that is
// held against the cell.
const lookTries = 2

// errNotLooked is wrapped when this node could not look at a cell, and may later.
var errNotLooked = errors.New("node: not looked at")

// lookAt sees to it that what a stranger has rendered for a job of this node is a cell
// of it, in the sandbox, before the user's own engine opens it. Nothing is taken without
// that look. An error that wraps renderer.ErrNoCell or errNotLooked says more.
func (n *Node) lookAt(w *work, cell uint32, output job.CID) error {
	r := w.refereeOf()
	r.looking.Lock() // one at a time: it is known over whose cell an engine ends
	defer r.looking.Unlock()
	for try := 1; ; try++ {
		err := n.lookOnce(r, cell, output)
		switch {
		case err == nil, errors.Is(err, errNotLooked):
			return err
		case w.ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errNotLooked, err)
		case !errors.Is(err, renderer.ErrEnded) && !errors.Is(err, context.DeadlineExceeded):
			return err
		case try == lookTries:
			return fmt.Errorf("%d engines have looked at it in vain: %w", try, err)
		}
	}
}

func (n *Node) lookOnce(r *work, cell uint32, output job.CID) error {
	ctx, cancel := context.WithTimeout(r.ctx, lookTime)
	defer cancel()
	if _, err := n.parts.Renderer.Sandbox(ctx); err != nil {
		if ctx.Err() == nil {
			n.tellUnlooked(r, err)
		}
		return fmt.Errorf("%w: no sandbox: %v", errNotLooked, err)
	}
	engine, err := n.engineOf(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %v", errNotLooked, err)
	}
	folder := fmt.Sprintf("looked%d", cell)
	defer func() { _ = engine.In().RemoveAll(folder) }() // else it goes with the engine
	files, err := n.exportCell(ctx, engine.In(), folder, output)
	if err != nil {
		n.dropEngine(r, engine) // its folder may be what is wrong
		return fmt.Errorf("%w: %w", errNotLooked, err)
	}
	if err = engine.Look(ctx, cell, files); errors.Is(err, renderer.ErrEnded) || ctx.Err() != nil {
		n.dropEngine(r, engine)
	}
	return err
}

// tellUnlooked tells the user once why what peers render for a job is not taken.
func (n *Node) tellUnlooked(r *work, why error) {
	r.unlooked.Do(func() {
		n.toPublication(r.job, func(p *publication) {
			p.emit(Event{Event: "note", Text: fmt.Sprintf("%v: so what others render is not taken, as it could not be looked at before your own engine opens it. "+
				"If all nodes are yours, give --trust mine, or make a private mesh (\"meshnode mesh new\")", why)})
		})
	})
}

// compareCells compares the pictures of two outputs of a cell, in the sandbox: one of
// them is a stranger's. An error that wraps renderer.ErrUnlike: they are not alike.
func (n *Node) compareCells(ctx context.Context, r *work, cell uint32, own, theirs job.CID) error {
	if _, err := n.parts.Renderer.Sandbox(ctx); err != nil {
		return err
	}
	engine, err := n.engineOf(ctx, r)
	if err != nil {
		return err
	}
	folder := fmt.Sprintf("compared%d", cell)
	defer func() { _ = engine.In().RemoveAll(folder) }() // else it goes with the engine
	a, err := n.exportCell(ctx, engine.In(), folder+"/own", own)
	if err != nil {
		return err
	}
	b, err := n.exportCell(ctx, engine.In(), folder+"/other", theirs)
	if err != nil {
		return err
	}
	err = engine.Alike(ctx, a, b)
	if err != nil && !errors.Is(err, renderer.ErrUnlike) && ctx.Err() == nil && engine.Alike(ctx, a, a) == nil {
		err = fmt.Errorf("%w: its files end who reads them: %w", renderer.ErrUnlike, err)
	}
	if errors.Is(err, renderer.ErrEnded) {
		n.dropEngine(r, engine)
	}
	return err
}
