// SPDX-License-Identifier: MIT

package sandbox

import "sync"

// Budget bounds the memory of jobs together, in Own and Bwrap with that of their
// folders: when they use more, the one that uses most is ended. They are looked at
// every 200 ms. It may be used from any goroutine; nil bounds nothing.
type Budget struct {
	most int64

	mu   sync.Mutex // guards what follows
	jobs map[box]share
}

// share is what one job uses of a budget.
type share struct {
	bytes int64
	exact bool // else it may be less
	over  bool // its processes are gone, its folders not yet
}

// NewBudget returns a budget of so many bytes.
func NewBudget(most int64) *Budget {
	return &Budget{most: most, jobs: make(map[box]share)}
}

// open takes a job in.
func (b *Budget) open(job box) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs[job] = share{}
}

// exceeded notes that a job uses at most so many bytes; and what exact tells, which
// takes longer, if that could be too much for all. It reports whether the job must end.
func (b *Budget) exceeded(job box, bytes int64, exact func() int64) bool {
	if b == nil || !b.note(job, share{bytes: bytes}) {
		return false
	}
	most := share{bytes: exact(), exact: true}
	if !b.note(job, most) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.jobs {
		if !other.exact || !other.over && other.bytes > most.bytes {
			return false // it looks within the same time, too
		}
	}
	return true
}

// note keeps what a job uses, unless more is known of that, and reports whether it may
// be too much for all.
func (b *Budget) note(job box, now share) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := now.bytes
	for other, s := range b.jobs {
		if other != job {
			total += s.bytes
		}
	}
	known, is := b.jobs[job]
	if is && (total <= b.most || now.exact || !known.exact) {
		b.jobs[job] = now
	}
	return is && total > b.most
}

// ended says that a job has no processes any more, and what its folders have.
func (b *Budget) ended(job box, folders int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, is := b.jobs[job]; is {
		b.jobs[job] = share{bytes: folders, exact: true, over: true}
	}
}

// free says that nothing of a job is left.
func (b *Budget) free(job box) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.jobs, job)
}
