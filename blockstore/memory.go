// SPDX-License-Identifier: MIT

package blockstore

import (
	"fmt"
	"io/fs"
	"math"
	"sync"

	"meshnode/job"
)

// Memory is a [Store] without a disk, for simulations, tests and nodes that
// keep nothing. Its blocks are lost with the process.
type Memory struct{ *core }

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store. It owns the exchange, which may be nil: the
// store then has nobody to fetch from.
func NewMemory(x Exchange) *Memory {
	m := &memoryMedium{blocks: make(map[job.CID][]byte)}
	return &Memory{newCore(m, make(map[job.CID]*entry), make(map[string]map[job.CID]bool), x)}
}

type memoryMedium struct {
	mu     sync.RWMutex
	blocks map[job.CID][]byte
}

func (m *memoryMedium) read(cid job.CID) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	data, ok := m.blocks[cid]
	if !ok {
		return nil, fmt.Errorf("%s: %w", cid, fs.ErrNotExist)
	}
	return data, nil
}

func (m *memoryMedium) write(cid job.CID, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks[cid] = data
	return nil
}

func (m *memoryMedium) remove(cid job.CID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocks, cid)
	return nil
}

func (m *memoryMedium) sync([]job.CID) error        { return nil }
func (m *memoryMedium) pin(string, []job.CID) error { return nil }
func (m *memoryMedium) unpin(string) error          { return nil }

// free knows of no limit but that of the address space.
func (m *memoryMedium) free() (uint64, error) { return math.MaxInt64, nil }

func (m *memoryMedium) close(map[job.CID]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks = nil
	return nil
}
