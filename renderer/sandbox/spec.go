// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Spec is one job to start.
type Spec struct {
	// Argv is the program, by its absolute path, and its arguments.
	Argv []string

	program string // what is started under the name of Argv[0], if that is not its path
	poller  bool   // the program is our own, in Go: see filter

	// Env is "key=value". A sandboxed job gets HOME, TMPDIR, PATH and LANG, and
	// then these; nothing of the node's environment. A Direct job gets exactly
	// these, or the node's environment if nil.
	Env []string

	// Dir is the working folder as the job sees it. Empty means Dirs.Tmp.
	Dir string

	// Runtime is what the job may read beside the system's own programs and
	// libraries. Direct ignores it.
	Runtime Runtime

	Limits Limits

	// Scratch is a host folder that Start makes and Close removes with all that
	// is in it. Direct, Basic and Seatbelt need one of its own for each job; the
	// others use none.
	Scratch string

	// Stderr, if not nil, also gets what the job prints, as it comes. A slow
	// writer slows the job.
	Stderr io.Writer
}

// Space bounds one of the job's folders. In Own and Bwrap folders are memory: a
// full one takes Bytes of RAM or swap. Own enforces both limits, Bwrap that on
// Bytes; the others are looked at every 200 ms, in Basic every second or so where
// there are many files.
type Space struct {
	Bytes int64
	Files int64 // and folders
}

// Limits bound a job. Zero stands for the value of DefaultLimits, where that is
// zero too there is no limit. Direct heeds only Wall and Stderr,
// Seatbelt also CPU, OpenFiles and FileSize, for each process.
type Limits struct {
	Memory       int64         // bytes of all processes together, shared pages counted once (PSS), looked at every 200 ms
	AddressSpace int64         // bytes per process; address space is larger than memory: 4 GiB and more for a 1080p render
	Processes    int           // and threads, at one time; in Basic looked at every second, and bounded with what else the user runs
	OpenFiles    int           // per process
	FileSize     int64         // bytes per file
	CPU          time.Duration // user and system time of all processes together, looked at every 200 ms; no default
	Wall         time.Duration // of the job, from Start; no default
	In, Out, Tmp Space
	Stderr       int64 // bytes printed before the job is ended; the last 64 KiB are kept

	Shared *Budget `json:"-"` // of this job and others together; nil: none
}

// DefaultLimits suit a 1080p render on a machine with 8 GiB: such a render
// took up to 780 MiB per process, and failed with 1 GiB of address space.
func DefaultLimits() Limits {
	const mib = 1 << 20
	return Limits{
		Memory:       4096 * mib,
		AddressSpace: 6144 * mib,
		Processes:    64,
		OpenFiles:    512,
		FileSize:     1024 * mib,
		In:           Space{512 * mib, 20000},
		Out:          Space{512 * mib, 20000},
		Tmp:          Space{64 * mib, 4096},
		Stderr:       64 * mib,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	pick := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	pick(&l.Memory, d.Memory)
	pick(&l.AddressSpace, d.AddressSpace)
	pick(&l.FileSize, d.FileSize)
	pick(&l.Stderr, d.Stderr)
	for _, s := range []struct{ v, d *Space }{{&l.In, &d.In}, {&l.Out, &d.Out}, {&l.Tmp, &d.Tmp}} {
		pick(&s.v.Bytes, s.d.Bytes)
		pick(&s.v.Files, s.d.Files)
	}
	if l.Processes == 0 {
		l.Processes = d.Processes
	}
	if l.OpenFiles == 0 {
		l.OpenFiles = d.OpenFiles
	}
	return l
}

func (l Limits) check() error {
	for _, v := range []int64{l.Memory, l.AddressSpace, int64(l.Processes), int64(l.OpenFiles), l.FileSize,
		l.In.Bytes, l.In.Files, l.Out.Bytes, l.Out.Files, l.Tmp.Bytes, l.Tmp.Files, l.Stderr} {
		if v < 1 {
			return errors.New("sandbox: job refused: a limit is negative")
		}
	}
	if l.CPU < 0 || l.Wall < 0 {
		return errors.New("sandbox: job refused: CPU or Wall is negative")
	}
	return nil
}

func (s *Spec) check(tier Tier) error {
	if len(s.Argv) == 0 || !filepath.IsAbs(s.Argv[0]) {
		return errors.New("sandbox: job refused: Argv needs the absolute path of a program")
	}
	for _, text := range slices.Concat(s.Argv, s.Env, []string{s.Dir}) {
		if strings.ContainsRune(text, 0) {
			return errors.New("sandbox: job refused: NUL in an argument")
		}
	}
	if (tier == Direct || tier == Basic || tier == Seatbelt) && !filepath.IsAbs(s.Scratch) {
		return fmt.Errorf("sandbox: job refused: tier %s needs the absolute path of a scratch folder", tier)
	}
	if err := s.Limits.check(); err != nil {
		return err
	}
	if tier == Direct {
		return nil
	}
	return s.Runtime.check()
}
