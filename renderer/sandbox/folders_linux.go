// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Folders of Basic are counted so often, but rest ten times as long as counting
// took, up to a second. A job whose folders have not been counted whole for
// countTimeout is ended: they are too large, or never where they were read.
const (
	countInterval = watchInterval
	countPause    = time.Second
	countTimeout  = 5 * time.Second
)

// diskFloor is what Basic leaves free where its folders are, in bytes. What a
// job has deleted and still holds open counts nowhere else.
const diskFloor = 512 << 20

// maxDepth bounds folders within folders in Basic. A job's own are a few deep.
const maxDepth = 64

// errPartly says that something was listed and then not there.
var errPartly = errors.New("sandbox: not counted whole")

// watchFolders ends a job of Basic whose folders are too full.
func (b *boxedProc) watchFolders(end func(error), done <-chan struct{}) {
	timer := time.NewTimer(countInterval)
	defer timer.Stop()
	for whole := time.Now(); ; {
		select {
		case <-done:
			return
		case <-timer.C:
		}
		begin := time.Now()
		err := b.tooFull(begin.Add(countTimeout))
		switch {
		case err == nil:
			whole = begin
		case !errors.Is(err, errPartly):
			end(err)
		case time.Since(whole) >= countTimeout:
			end(ErrCount)
		}
		timer.Reset(max(countInterval, min(10*time.Since(begin), countPause)))
	}
}

// tooFull looks at folders on the host.
func (b *boxedProc) tooFull(deadline time.Time) error {
	var partly error
	for _, w := range b.spaces {
		switch err := measure(w.root, w.space, deadline); {
		case errors.Is(err, errPartly):
			partly = err
		case err != nil:
			return err
		}
	}
	return partly
}

// measure counts what is below a folder, in which a job may be working, until it
// is too much.
func measure(root *os.Root, most Space, deadline time.Time) error {
	f, err := root.Open(".")
	if err != nil {
		return nil // closed already: the job is over
	}
	c := count{most: most, deadline: deadline}
	if err := c.folder(f, 0); err != nil {
		return err
	}
	if c.missed {
		return errPartly
	}
	return nil
}

// count is what has been counted.
type count struct {
	most        Space
	deadline    time.Time
	files, size int64
	missed      bool
}

// folder counts what is in and below a folder, which it closes. Folders are opened
// from the one above them, as a path may lead elsewhere by the time it is read.
func (c *count) folder(f *os.File, depth int) error {
	defer f.Close()
	if depth > maxDepth {
		return ErrFiles
	}
	for {
		names, err := f.Readdirnames(1000)
		if err != nil && len(names) == 0 {
			return nil // its end, or it is gone
		}
		for _, name := range names {
			if err := c.entry(int(f.Fd()), name, depth); err != nil {
				return err
			}
		}
		if time.Now().After(c.deadline) {
			return errPartly
		}
	}
}

func (c *count) entry(at int, name string, depth int) error {
	var stat unix.Stat_t
	if unix.Fstatat(at, name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		c.missed = true
		return nil
	}
	c.files++
	c.size += stat.Blocks * 512
	switch {
	case c.files > c.most.Files:
		return ErrFiles
	case c.size > c.most.Bytes:
		return ErrBytes
	case stat.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil
	}
	f, err := openListed(at, name)
	if err != nil {
		c.missed = true
		return nil
	}
	return c.folder(f, depth+1)
}

// openListed opens a folder of a job, also one that the job has made so that it
// cannot be listed. The time of access stays, which would tell the job what has
// been counted.
func openListed(at int, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC
	fd, err := unix.Openat(at, name, flags, 0)
	if errors.Is(err, unix.EACCES) {
		if err = unix.Fchmodat(at, name, 0o700, unix.AT_SYMLINK_NOFOLLOW); err == nil {
			fd, err = unix.Openat(at, name, flags, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
