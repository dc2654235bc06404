// SPDX-License-Identifier: MIT

package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Record is a small value under a name, such as "job/bafk…/claims".
type Record struct {
	Key   string
	Value []byte // nil: there is none under that name
}

// Records keeps what outlives the node. All methods are safe for concurrent use.
type Records interface {
	// Write makes all these changes, or none. When it returns nil they are on
	// disk. After an error the disk may be full, and a later Write succeed.
	Write(changes ...Record) error

	// Read returns all records whose names begin with prefix. They are the
	// caller's.
	Read(prefix string) (map[string][]byte, error)

	Close() error
}

// recordsFormat is the version of what the names and values of records mean.
const recordsFormat = 1

// The buckets of a database, and what is in the first.
var (
	metaBucket    = []byte("meta")
	formatKey     = []byte("format")
	recordsBucket = []byte("records")
	recordSum     = crc32.MakeTable(crc32.Castagnoli)
)

// database keeps records in one file, with a checksum of each. docs/storage.md
// says why it is a bbolt.
type database struct{ db *bolt.DB }

// openDatabase opens the records in a file, or makes an empty one.
//
// It begins with a copy of what is sound in the file: bbolt keeps no checksums of its
// pages, and where one is damaged, reading or writing it may end the process. A file
// that cannot be read at all is moved aside.
func openDatabase(path string, log *slog.Logger) (*database, error) {
	kept, bad, err := salvage(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && !isDamage(err):
		return nil, err
	case err != nil:
		aside := path + ".damaged"
		log.Error("the node's records are damaged: jobs that were under way are lost", "moved to", aside, "err", err)
		if err := os.Rename(path, aside); err != nil {
			return nil, fmt.Errorf("node: damaged records: %w", err)
		}
	default:
		if bad > 0 {
			log.Error("some of the node's records are damaged: they are left out", "records", bad)
		}
		if err := renew(path, kept); err != nil { // the disk may be full
			log.Warn("the node's records are not copied", "err", err)
		}
	}
	d, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		log.Warn("the node's records may not outlast a power cut", "err", err)
	}
	return d, nil
}

// isDamage reports whether it is the file that cannot be read, not the system that
// refuses to.
func isDamage(err error) bool {
	var newer *formatError
	var system *fs.PathError
	var code syscall.Errno
	return !errors.As(err, &newer) && !errors.As(err, &system) && !errors.As(err, &code) && !errors.Is(err, bolterrors.ErrTimeout)
}

// formatError is a database of another version of this program.
type formatError struct {
	path   string
	format uint64
}

func (e *formatError) Error() string {
	return fmt.Sprintf("node: %s has format %d, this program knows %d: use the program that wrote it, or move the file away", e.path, e.format, recordsFormat)
}

// salvage returns the sound records in a file, and how many are not. An empty file is
// as good as none (fs.ErrNotExist): a full disk, or a kill, leaves one where bbolt was to
// begin it.
func salvage(path string) (kept map[string][]byte, bad int, err error) {
	var db *bolt.DB
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("node: read %s: %v", path, r)
		}
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, err
	}
	db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, ReadOnly: true})
	if err != nil {
		return nil, 0, fmt.Errorf("node: read %s: %w", path, err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return errors.New("node: there is no format in it")
		}
		if format, _ := binary.Uvarint(meta.Get(formatKey)); format != recordsFormat {
			return &formatError{path, format}
		}
		kept, bad = read(tx, "")
		return nil
	})
	return kept, bad, err
}

// lockTime bounds the wait for a process that has the file open: none should, as
// the home is locked.
const lockTime = time.Second

// renew replaces a file by one with these records.
func renew(path string, kept map[string][]byte) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, err := openBolt(fresh)
	if err != nil {
		return err
	}
	var changes []Record
	for key, value := range kept {
		changes = append(changes, Record{key, value})
	}
	if err := errors.Join(d.Write(changes...), d.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return os.Rename(fresh, path)
}

// openBolt opens a sound file, or makes a new one.
func openBolt(path string) (*database, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("node: open %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err == nil {
			_, err = tx.CreateBucketIfNotExists(recordsBucket)
		}
		if err == nil {
			err = meta.Put(formatKey, binary.AppendUvarint(nil, recordsFormat))
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("node: open %s: %w", path, err), db.Close())
	}
	return &database{db}, nil
}

func (d *database) Write(changes ...Record) error {
	if len(changes) == 0 {
		return nil
	}
	err := d.db.Update(func(tx *bolt.Tx) error {
		records := tx.Bucket(recordsBucket)
		for _, c := range changes {
			var err error
			if key := []byte(c.Key); c.Value == nil {
				err = records.Delete(key)
			} else {
				err = records.Put(key, binary.BigEndian.AppendUint32(bytes.Clone(c.Value), sumOf(key, c.Value)))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.Key, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("node: %d records not written: %w", len(changes), err)
	}
	return nil
}

// sumOf returns a checksum of a record.
func sumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, recordSum), recordSum, value)
}

func (d *database) Read(prefix string) (found map[string][]byte, err error) {
	err = d.db.View(func(tx *bolt.Tx) error {
		found, _ = read(tx, prefix)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("node: read records: %w", err)
	}
	return found, nil
}

// read returns copies of the records whose names begin with prefix, and how many of
// them are damaged.
func read(tx *bolt.Tx, prefix string) (found map[string][]byte, bad int) {
	found = make(map[string][]byte)
	c := tx.Bucket(recordsBucket).Cursor()
	for key, value := c.Seek([]byte(prefix)); key != nil && bytes.HasPrefix(key, []byte(prefix)); key, value = c.Next() {
		n := len(value) - 4
		if n < 0 || binary.BigEndian.Uint32(value[n:]) != sumOf(key, value[:n]) {
			bad++
			continue
		}
		found[string(key)] = bytes.Clone(value[:n])
	}
	return found, bad
}

func (d *database) Close() error { return d.db.Close() }

// MemoryRecords keeps records as long as the process lives, for tests and for nodes
// whose jobs need not outlive them. The zero value is empty. It can be used again
// after Close, as a file can be opened again.
type MemoryRecords struct {
	// Fail returns why a Write fails; nil: none does.
	Fail func(changes []Record) error

	mu   sync.Mutex // guards what follows
	kept map[string][]byte
}

// Write implements Records.
func (m *MemoryRecords) Write(changes ...Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Fail != nil {
		if err := m.Fail(changes); err != nil {
			return err
		}
	}
	if m.kept == nil {
		m.kept = make(map[string][]byte)
	}
	for _, c := range changes {
		if c.Value == nil {
			delete(m.kept, c.Key)
		} else {
			m.kept[c.Key] = bytes.Clone(c.Value)
		}
	}
	return nil
}

// Read implements Records.
func (m *MemoryRecords) Read(prefix string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := maps.Clone(m.kept)
	maps.DeleteFunc(found, func(key string, _ []byte) bool { return !strings.HasPrefix(key, prefix) })
	return found, nil
}

// Close does nothing.
func (m *MemoryRecords) Close() error { return nil }
