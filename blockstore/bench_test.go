// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

var benchSizes = []int{64 << 20, 256 << 20}

// BenchmarkFetch moves one file between two hosts in this process, over
// loopback. Plain TCP into sha256, measured in the same run, is the yardstick:
// x/tcp is the speed as a part of its.
func BenchmarkFetch(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			var tcp float64
			run := func(name string, once func(b *testing.B)) {
				b.Run(name, func(b *testing.B) {
					b.SetBytes(int64(size))
					heap := watchHeap(b)
					var took time.Duration
					for range b.N {
						before := b.Elapsed()
						once(b)
						took += b.Elapsed() - before
					}
					speed := float64(size) * float64(b.N) / took.Seconds()
					if name == "tcp" {
						tcp = speed
					} else if tcp > 0 {
						b.ReportMetric(speed/tcp, "x/tcp")
					}
					b.ReportMetric(float64(heap())/(1<<20), "MiB-peak")
				})
			}
			run("tcp", func(b *testing.B) { moveTCP(b, blockstoretest.Bytes(1, size)) })
			run("stream", func(b *testing.B) { moveStream(b, blockstoretest.Bytes(1, size)) })
			run("memory", func(b *testing.B) { moveSet(b, size, newMemory) })
			run("disk", func(b *testing.B) { moveSet(b, size, newDisk) })
		})
	}
}

// noise is a file that is never in memory as a whole.
func noise(size int) []blockstore.Source {
	return []blockstore.Source{{Path: "noise", Size: int64(size), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{}), int64(size))), nil
	}}}
}

// watchHeap samples the live heap, and returns its peak in bytes.
func watchHeap(b *testing.B) (peak func() int) {
	done := make(chan struct{})
	var most atomic.Uint64
	var wg sync.WaitGroup
	wg.Go(func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for tick := time.Tick(5 * time.Millisecond); ; {
			metrics.Read(sample)
			most.Store(max(most.Load(), sample[0].Value.Uint64()))
			select {
			case <-tick:
			case <-done:
				return
			}
		}
	})
	return func() int { close(done); wg.Wait(); return int(most.Load()) }
}

func moveSet(b *testing.B, size int, newStore newStore) {
	b.StopTimer()
	join := newBitswap(b)
	giver, x := join()
	from := newStore(b, x)
	_, x = join()
	to := newStore(b, x)
	defer from.Close()
	defer to.Close()
	cid, set, err := from.Import(b.Context(), noise(size))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	b.StartTimer()
	if _, err := to.Fetch(ctx, cid, []job.PeerID{giver}, set.Size()); err != nil {
		b.Error(err)
	}
	b.StopTimer()
}

func moveTCP(b *testing.B, data []byte) {
	b.StopTimer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write(data)
		_ = c.Close()
	})
	b.StartTimer()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if n, err := io.Copy(sha256.New(), c); err != nil || n != int64(len(data)) {
		b.Error(n, err)
	}
	b.StopTimer()
}

// moveStream is the simplest block protocol there could be, on the same hosts:
// a request lists CIDs, the answer is their bytes, each after its length, and
// each is checked. It shows what bitswap costs.
func moveStream(b *testing.B, data []byte) {
	b.StopTimer()
	const protocol = "/meshnode/bench"
	server, client := newHost(b), newHost(b)
	blocks := make(map[string][]byte)
	var want []string
	for at := 0; at < len(data); at += job.MaxBlock {
		block := data[at : at+job.MaxBlock]
		cid := string(job.CIDOf(block))
		blocks[cid] = block
		want = append(want, cid)
	}
	server.SetStreamHandler(protocol, func(s network.Stream) {
		defer s.Close()
		cid := make([]byte, 59)
		for {
			if _, err := io.ReadFull(s, cid); err != nil {
				return
			}
			block := blocks[string(cid)]
			if binary.Write(s, binary.BigEndian, uint32(len(block))) != nil {
				return
			}
			if _, err := s.Write(block); err != nil {
				return
			}
		}
	})
	connect(b, client, server)
	b.StartTimer()
	if err := fetchStream(b.Context(), client, server, protocol, want); err != nil {
		b.Error(err)
	}
	b.StopTimer()
	_, _ = server.Close(), client.Close()
}

func fetchStream(ctx context.Context, client, server host.Host, protocol string, want []string) error {
	s, err := client.NewStream(ctx, server.ID(), "/meshnode/bench")
	if err != nil {
		return err
	}
	defer s.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for _, cid := range want {
			if _, err := s.Write([]byte(cid)); err != nil {
				return
			}
		}
	})
	for _, cid := range want {
		var n uint32
		if err := binary.Read(s, binary.BigEndian, &n); err != nil || n > job.MaxBlock {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		block := make([]byte, n)
		if _, err := io.ReadFull(s, block); err != nil {
			return err
		}
		if string(job.CIDOf(block)) != cid {
			return errors.New("wrong bytes")
		}
	}
	return nil
}

func BenchmarkImport(b *testing.B) {
	benchLocal(b, func(b *testing.B, st blockstore.Store, size int) {
		if _, _, err := st.Import(b.Context(), noise(size)); err != nil {
			b.Error(err)
		}
	}, false)
}

func BenchmarkExport(b *testing.B) {
	benchLocal(b, func(b *testing.B, st blockstore.Store, size int) {
		cid, _, err := st.Import(b.Context(), noise(size))
		if err != nil {
			b.Fatal(err)
		}
		root, err := os.OpenRoot(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		defer root.Close()
		b.StartTimer()
		if err := st.Export(b.Context(), cid, root); err != nil {
			b.Error(err)
		}
		b.StopTimer()
	}, true)
}

// benchLocal runs once on a fresh store each time.
func benchLocal(b *testing.B, once func(*testing.B, blockstore.Store, int), timesItself bool) {
	for _, size := range benchSizes {
		for name, newStore := range map[string]newStore{"memory": newMemory, "disk": newDisk} {
			b.Run(fmt.Sprintf("%dMiB/%s", size>>20, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for range b.N {
					b.StopTimer()
					st := newStore(b, nil)
					if !timesItself {
						b.StartTimer()
					}
					once(b, st, size)
					b.StopTimer()
					_ = st.Close()
				}
			})
		}
	}
}
