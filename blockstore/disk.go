// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ipfs/go-datastore"
	flatfs "github.com/ipfs/go-ds-flatfs"
	"golang.org/x/sync/errgroup"

	"meshnode/job"
)

// Disk is a [Store] in a folder, which one process at a time may open: whoever
// owns the home that it is in sees to that.
//
// The folder has two parts. data/ is a flatfs: a file per block, named by its
// CID in upper case. pins/<owner>/<cid> are empty files, one for each pin, so
// that there is nothing in them to be damaged.
type Disk struct{ *core }

var _ Store = (*Disk)(nil)

// NewDisk opens the store in dir, or creates one. It owns the exchange, which
// may be nil: the store then has nobody to fetch from. On an error the exchange
// stays the caller's.
//
// Opening lists the blocks and reads none. What a crash has left unfinished is
// removed; what it has damaged is found when it is read.
func NewDisk(dir string, x Exchange) (*Disk, error) {
	c, err := openDisk(dir, x)
	if err != nil {
		return nil, fmt.Errorf("blockstore: open %s: %w", dir, err)
	}
	return &Disk{c}, nil
}

func openDisk(dir string, x Exchange) (*core, error) {
	d := &diskMedium{data: filepath.Join(dir, "data"), pins: filepath.Join(dir, "pins")}
	if err := os.MkdirAll(d.pins, 0o700); err != nil {
		return nil, err
	}
	if err := createFlatfs(d.data); err != nil {
		return nil, err
	}
	pins, err := d.listPins()
	if err != nil {
		return nil, err
	}
	blocks, err := d.list()
	if err != nil {
		return nil, err
	}
	if d.flat, err = flatfs.Open(d.data, false); err != nil {
		return nil, err
	}
	return newCore(d, blocks, pins, x), nil
}

// sharding puts 1,024 folders between the root and the blocks: the CID's last
// characters but one are evenly spread.
var sharding = flatfs.NextToLast(2)

// createFlatfs makes an empty flatfs unless there is one. flatfs writes its
// description in place and unsynced: it is made aside and renamed when whole.
func createFlatfs(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := flatfs.Create(fresh, sharding); err != nil {
		return err
	}
	if err := syncPath(filepath.Join(fresh, flatfs.SHARDING_FN)); err != nil {
		return err
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// diskMedium keeps blocks in a flatfs. flatfs writes to a temporary file and
// renames it; it syncs all files or none, so syncing is done here, beside it.
type diskMedium struct {
	data, pins string // folders
	flat       *flatfs.Datastore
}

const blockExt = ".data" // flatfs's

func flatKey(cid job.CID) datastore.Key { return datastore.RawKey("/" + strings.ToUpper(string(cid))) }

// path returns where flatfs keeps a block.
func (d *diskMedium) path(cid job.CID) string {
	name := strings.ToUpper(string(cid))
	return filepath.Join(d.data, sharding.Func()(name), name+blockExt)
}

// list returns all blocks, nothing known of them but what the folders say.
func (d *diskMedium) list() (map[job.CID]*entry, error) {
	blocks := make(map[job.CID]*entry)
	shards, err := os.ReadDir(d.data)
	if err != nil {
		return nil, err
	}
	for _, shard := range shards {
		if !shard.IsDir() || strings.HasPrefix(shard.Name(), ".") {
			continue
		}
		files, err := os.ReadDir(filepath.Join(d.data, shard.Name()))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			name, ok := strings.CutSuffix(f.Name(), blockExt)
			cid := job.CID(strings.ToLower(name))
			if _, err := cid.Parse(); !ok || err != nil {
				continue
			}
			info, err := f.Info()
			if err != nil {
				return nil, err
			}
			blocks[cid] = &entry{size: info.Size(), used: info.ModTime().UnixNano()}
		}
	}
	return blocks, nil
}

func (d *diskMedium) read(cid job.CID) ([]byte, error) {
	data, err := d.flat.Get(context.Background(), flatKey(cid))
	if errors.Is(err, datastore.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", cid, fs.ErrNotExist)
	}
	return data, err
}

func (d *diskMedium) write(cid job.CID, data []byte) error {
	return d.flat.Put(context.Background(), flatKey(cid), data)
}

func (d *diskMedium) remove(cid job.CID) error {
	return d.flat.Delete(context.Background(), flatKey(cid))
}

// syncers is how many files are synced at a time: a journal commits them
// together.
const syncers = 8

func (d *diskMedium) sync(cids []job.CID) error {
	if len(cids) == 0 {
		return nil
	}
	var files errgroup.Group
	files.SetLimit(syncers)
	folders := map[string]bool{d.data: true}
	for _, cid := range cids {
		path := d.path(cid)
		folders[filepath.Dir(path)] = true
		files.Go(func() error { return syncPath(path) })
	}
	if err := files.Wait(); err != nil {
		return err
	}
	var dirs errgroup.Group
	dirs.SetLimit(syncers)
	for dir := range folders {
		dirs.Go(func() error { return syncDir(dir) })
	}
	return dirs.Wait()
}

// syncPath makes a file's bytes durable.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs what is open for writing
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes the names in a folder durable. Windows has no such call.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// listPins returns the pins by owner.
func (d *diskMedium) listPins() (map[string]map[job.CID]bool, error) {
	pins := make(map[string]map[job.CID]bool)
	owners, err := os.ReadDir(d.pins)
	if err != nil {
		return nil, err
	}
	for _, owner := range owners {
		if !owner.IsDir() {
			continue // not of this store
		}
		files, err := os.ReadDir(filepath.Join(d.pins, owner.Name()))
		if err != nil {
			return nil, err
		}
		of := make(map[job.CID]bool)
		for _, f := range files {
			of[job.CID(f.Name())] = true
		}
		pins[owner.Name()] = of
	}
	return pins, nil
}

func (d *diskMedium) pin(owner string, cids []job.CID) error {
	dir := filepath.Join(d.pins, owner)
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = syncDir(d.pins)
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	for _, cid := range cids {
		f, err := os.OpenFile(filepath.Join(dir, string(cid)), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func (d *diskMedium) unpin(owner string) error {
	if err := os.RemoveAll(filepath.Join(d.pins, owner)); err != nil {
		return err
	}
	return syncDir(d.pins)
}

func (d *diskMedium) free() (uint64, error) { return freeBytes(d.data) }

// close keeps recency in the files' times. It is worth no error.
func (d *diskMedium) close(used map[job.CID]int64) error {
	for cid, ns := range used {
		_ = os.Chtimes(d.path(cid), time.Time{}, time.Unix(0, ns))
	}
	return d.flat.Close()
}
