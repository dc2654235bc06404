// SPDX-License-Identifier: MIT

package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"meshnode/job"
)

// maxResults bounds the results that a node remembers; each takes some 500 bytes of
// memory. When there are more, those used longest ago are forgotten.
const maxResults = 50_000

// results remembers what cells have come to, by their keys. They are the records
// "result/<submitter>/<key>". Their blocks are kept as long as there is room for
// them: see keepBytes.
//
// Keys are the submitter's word, and somebody else's jobs could have the same keys
// for other pictures. So a result serves only jobs of the submitter whose job it was
// made for. All methods are safe for concurrent use.
type results struct {
	records Records

	mu       sync.Mutex // guards what follows
	kept     map[resultKey]result
	last     uint64              // the highest result.Used
	disowned map[job.PeerID]bool // peers that were found out since the node began; see keep
}

// maxDisowned bounds results.disowned.
const maxDisowned = 10_000

type resultKey struct {
	of  job.PeerID // submitter
	key job.Key
}

// result is the output of a cell.
type result struct {
	Output job.CID `json:"output"`
	Size   uint64  `json:"size"`             // bytes of its files
	Script string  `json:"script,omitempty"` // of jobs of this node: names the script
	Used   uint64  `json:"used"`             // rises with each use

	// Of jobs of others: the fingerprint of the environment that it was rendered in.
	Env string `json:"env,omitempty"`

	// Of jobs of this node: who has rendered it, if it was not checked; "": this node.
	By job.PeerID `json:"by,omitempty"`
}

const resultsPrefix = "result/"

func (k resultKey) record() string {
	return fmt.Sprintf("%s%s/%s", resultsPrefix, k.of, k.key)
}

// loadResults reads what earlier nodes of this home have remembered.
func loadResults(records Records) (*results, error) {
	found, err := records.Read(resultsPrefix)
	if err != nil {
		return nil, err
	}
	r := &results{records: records, kept: make(map[resultKey]result, len(found)), disowned: make(map[job.PeerID]bool)}
	for name, value := range found {
		of, text, _ := strings.Cut(strings.TrimPrefix(name, resultsPrefix), "/")
		key, err := job.ParseKey(text)
		var one result
		if err != nil || json.Unmarshal(value, &one) != nil {
			continue
		}
		r.kept[resultKey{job.PeerID(of), key}] = one
		r.last = max(r.last, one.Used)
	}
	return r, nil
}

// has reports whether there are results of a submitter's jobs.
func (r *results) has(of job.PeerID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.kept {
		if k.of == of {
			return true
		}
	}
	return false
}

// find returns the result for a key.
func (r *results) find(of job.PeerID, key job.Key) (result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.kept[resultKey{of, key}]
	return one, ok
}

// sum returns how many results there are, and the bytes of their files: equal ones
// count once.
func (r *results) sum() (cells int, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make(map[job.CID]bool)
	for _, one := range r.kept {
		if !seen[one.Output] {
			seen[one.Output] = true
			bytes += one.Size
		}
	}
	return len(r.kept), bytes
}

// notOf returns what was rendered for a submitter's jobs in other environments than that.
func (r *results) notOf(of job.PeerID, env string) map[job.CID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	outputs := make(map[job.CID]bool)
	for k, one := range r.kept {
		if k.of == of && one.Env != env {
			outputs[one.Output] = true
		}
	}
	return outputs
}

// madeFrom returns the keys of the results of a script.
func (r *results) madeFrom(of job.PeerID, script string) []job.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []job.Key
	for k, one := range r.kept {
		if k.of == of && one.Script == script {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// keep remembers results; those that it has already have been used again. Of a peer that
// was found out meanwhile nothing is kept: the job that it is for may not know yet.
func (r *results) keep(of job.PeerID, made map[job.Key]result) error {
	delete(made, job.Key{})
	if len(made) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var changes []Record
	for key, one := range made {
		if r.disowned[one.By] {
			continue
		}
		r.last++
		one.Used = r.last
		k := resultKey{of, key}
		r.kept[k] = one
		changes = append(changes, record(k.record(), one))
	}
	for _, k := range r.oldest(len(r.kept) - maxResults) {
		delete(r.kept, k)
		changes = append(changes, Record{Key: k.record()})
	}
	return r.records.Write(changes...)
}

// oldest returns a tenth of the results, those used longest ago, if there are too
// many by over. r.mu is held.
func (r *results) oldest(over int) []resultKey {
	if over <= 0 {
		return nil
	}
	keys := make([]resultKey, 0, len(r.kept))
	for k := range r.kept {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b resultKey) int { return cmp.Compare(r.kept[a].Used, r.kept[b].Used) })
	return keys[:max(over, len(keys)/10)]
}

// disown drops what liars have rendered for jobs of this node, and other results, in one
// write with other records. After an error nothing was done.
func (r *results) disown(liars []job.PeerID, others []resultKey, changes ...Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := slices.Clone(others)
	for k, one := range r.kept {
		if slices.Contains(liars, one.By) {
			gone = append(gone, k)
		}
	}
	if err := r.drop(gone, changes...); err != nil {
		return err
	}
	if len(r.disowned) >= maxDisowned {
		clear(r.disowned) // the jobs of then are over
	}
	for _, p := range liars {
		r.disowned[p] = true
	}
	return nil
}

// forget drops results.
func (r *results) forget(of job.PeerID, keys []job.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var gone []resultKey
	for _, key := range keys {
		gone = append(gone, resultKey{of, key})
	}
	return r.drop(gone)
}

// drop removes results, in one write with other records. After an error nothing was done.
// mu is held.
func (r *results) drop(gone []resultKey, changes ...Record) error {
	for _, k := range gone {
		if _, ok := r.kept[k]; ok {
			changes = append(changes, Record{Key: k.record()})
		}
	}
	if err := r.records.Write(changes...); err != nil {
		return err
	}
	for _, k := range gone {
		delete(r.kept, k)
	}
	return nil
}
