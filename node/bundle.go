// SPDX-License-Identifier: MIT

package node

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"meshnode/job"
)

// BundleInfo says what a bundle is about: its file "about.json".
type BundleInfo struct {
	Version string     `json:"version"` // of meshnode
	OS      string     `json:"os"`
	Made    time.Time  `json:"made"`
	Node    PeerStatus `json:"node"`
	Job     JobStatus  `json:"job"`
	Lacks   []string   `json:"lacks,omitempty"` // what could not be had, and why
}

// Names of other files in a bundle.
const (
	bundleAbout    = "about.json"
	bundleManifest = "manifest"
	bundleAssets   = "assets/"
)

const maxNamed = 10 // files that a bundle lacks and names

// Bundle writes what this node knows of a job, for somebody who is to find out what
// went wrong: its manifest, and the node's journals, in which a Replay finds every
// event and decision; with assets, those of the job's files too that are in the store.
// Nothing is fetched. It is a tar archive with gzip. The journals tell of other jobs and
// of all peers.
func (n *Node) Bundle(ctx context.Context, id string, assets bool, w io.Writer) error {
	found, err := n.describe(id)
	if err != nil {
		return err
	}
	about := BundleInfo{Version: n.currentAdvert().Version, OS: runtime.GOOS + "/" + runtime.GOARCH, Made: time.Now().UTC(), Node: n.Status().Self, Job: *found}
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	lacks := func(what string, err error) { about.Lacks = append(about.Lacks, fmt.Sprintf("%s: %v", what, err)) }
	if err := n.flushJournal(); err != nil {
		lacks(journalNow, err)
	}
	for _, name := range []string{journalBefore, journalNow} {
		if n.home == nil {
			break
		}
		f, err := os.Open(n.home.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // there was no run before
		}
		if err != nil {
			lacks(name, err)
			continue
		}
		info, err := f.Stat()
		if err == nil { // it may grow meanwhile
			err = pack(out, name, info.Size(), io.LimitReader(f, info.Size()))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("bundle: %s: %w", name, err)
		}
	}
	block, err := n.parts.Store.Block(ctx, job.CID(about.Job.ID), nil)
	if err != nil {
		lacks(bundleManifest, err)
	} else if err := packBytes(out, bundleManifest, block); err != nil {
		return err
	}
	var files []job.File
	if assets && err == nil {
		if files, err = n.filesHere(ctx, block); err != nil {
			lacks(bundleAssets, err)
		}
	}
	// The files come last: no Replay has to read them.
	text, err := json.MarshalIndent(about, "", "  ")
	if err == nil {
		err = packBytes(out, bundleAbout, text)
	}
	for _, f := range files {
		if err == nil {
			err = pack(out, bundleAssets+f.Path, int64(f.Size), n.stored(ctx, f))
		}
	}
	return errors.Join(context.Cause(ctx), err, out.Close(), zip.Close())
}

// filesHere returns those of a job's files that the store has from end to end; lacks
// says which it has not.
func (n *Node) filesHere(ctx context.Context, manifest []byte) (files []job.File, lacks error) {
	man, err := job.DecodeManifest(manifest)
	if err != nil {
		return nil, err
	}
	block, err := n.parts.Store.Block(ctx, man.Assets, nil)
	if err != nil {
		return nil, err
	}
	set, err := job.DecodeFileSet(block)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, f := range set.Files {
		if _, err := io.Copy(io.Discard, n.stored(ctx, f)); err != nil {
			absent, lacks = append(absent, f.Path), err
			continue
		}
		files = append(files, f)
	}
	if lacks != nil {
		named := strings.Join(absent[:min(len(absent), maxNamed)], ", ")
		lacks = fmt.Errorf("%d of %d files are not on this node, such as %s: %w", len(absent), len(set.Files), named, lacks)
	}
	return files, lacks
}

// stored returns what reads a file out of the store.
func (n *Node) stored(ctx context.Context, f job.File) io.Reader {
	return io.NewSectionReader(&storedFile{ctx: ctx, store: n.parts.Store, file: f}, 0, int64(f.Size))
}

// Known says why no job is meant by the end of an id, if so.
func (n *Node) Known(id string) error {
	_, err := n.describe(id)
	return err
}

// describe finds the job that is meant by the end of its id.
func (n *Node) describe(id string) (*JobStatus, error) {
	found, err := meant(func(yield func(job.ID, *JobStatus) bool) {
		for _, j := range n.Jobs() {
			if !yield(j.ID, &j) {
				return
			}
		}
	}, id)
	if err == nil && found == nil {
		err = fmt.Errorf("no job is known here with the id %q: see \"meshnode jobs\"", id)
	}
	return found, err
}

func packBytes(out *tar.Writer, name string, data []byte) error {
	return pack(out, name, int64(len(data)), strings.NewReader(string(data)))
}

func pack(out *tar.Writer, name string, size int64, from io.Reader) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size}); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if _, err := io.Copy(out, from); err != nil {
		return fmt.Errorf("bundle: %s: %w", name, err)
	}
	return nil
}
