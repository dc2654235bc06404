// SPDX-License-Identifier: MIT

package blockstore

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// pipe is a stream over a connection in memory: each piece waits for its reader.
type pipe struct {
	network.Stream
	end net.Conn
}

func (p *pipe) Write(b []byte) (int, error)        { return p.end.Write(b) }
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.end.SetWriteDeadline(t) }
func (p *pipe) Reset() error                       { return p.end.Close() }

// A stream ends when nothing of it is read for a while, however much of its time is
// left; when its time is over, however well it is read; and when the host's does.
func TestOutboundEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name       string
			all, every time.Duration // the deadline; a piece is read so often; 0: never
			close, end time.Duration // when the host ends; when the writing does
		}{
			{"nothing is read", time.Minute, 0, time.Hour, unreadTime},
			{"no deadline", 0, 0, time.Hour, unreadTime},
			{"slowly read", time.Minute, unreadTime - time.Second, time.Hour, time.Minute},
			{"a short deadline", time.Second, 0, time.Hour, time.Second},
			{"the host ends", time.Minute, 0, 2 * time.Second, 2 * time.Second},
		} {
			here, there := net.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), c.close)
			w := &written{Stream: &pipe{end: here}, ctx: ctx}
			if c.all > 0 {
				_ = w.SetWriteDeadline(time.Now().Add(c.all))
			}
			go func() {
				for c.every > 0 {
					time.Sleep(c.every)
					for left := piece; left > 0; {
						n, err := there.Read(make([]byte, left))
						if left -= n; err != nil {
							return
						}
					}
				}
			}()
			begin := time.Now()
			_, err := w.Write(make([]byte, 100*piece))
			if took := time.Since(begin); took != c.end {
				t.Errorf("%s: ended after %v, want %v", c.name, took, c.end)
			}
			if err == nil || c.close == time.Hour && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: error %v", c.name, err)
			}
			cancel()
			here.Close()
			there.Close()
		}
	})
}
