// SPDX-License-Identifier: MIT

package blockstore

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// answering is a host that keeps what answers its streams.
type answering struct {
	host.Host
	handle network.StreamHandler
}

func (a *answering) SetStreamHandler(_ protocol.ID, handle network.StreamHandler) { a.handle = handle }

// incoming is a stream of a peer.
type incoming struct {
	network.Stream
	from     peer.ID
	r        io.Reader
	deadline time.Time // for the next read
}

func (i *incoming) Conn() network.Conn         { return remote{from: i.from} }
func (i *incoming) Read(p []byte) (int, error) { return i.r.Read(p) }
func (i *incoming) Reset() error               { return nil }

func (i *incoming) SetReadDeadline(t time.Time) error {
	i.deadline = t
	return nil
}

// remote is a connection with a peer.
type remote struct {
	network.Conn
	from peer.ID
}

func (r remote) RemotePeer() peer.ID { return r.from }

// A few peers whose messages do not come leave room for those of others.
func TestReadingOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &answering{}
		read := make(chan struct{}, 100)
		newInbound(t.Context(), h).SetStreamHandler("x", func(network.Stream) {
			read <- struct{}{}
			<-t.Context().Done()
		})
		const evil = maxReading / maxReadingFrom
		for i := range evil {
			for range maxInbound {
				go h.handle(&incoming{from: peer.ID(fmt.Sprint("evil", i))})
			}
		}
		synctest.Wait()
		if n := len(read); n != maxReadingMore+evil {
			t.Errorf("%d messages are read, want %d", n, maxReadingMore+evil)
		}
		for i := range maxReading - maxReadingMore - evil {
			before := len(read)
			go h.handle(&incoming{from: peer.ID(fmt.Sprint("honest", i))})
			if synctest.Wait(); len(read) != before+1 {
				t.Errorf("that of peer %d is not read", i)
			}
		}
	})
}

// A stream is given up when it has been silent for a while, and at its end.
func TestReadingSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &incoming{r: strings.NewReader("abc")}
		begin := time.Now()
		read := &timed{s, begin.Add(inboundTime)}
		for _, test := range []struct{ at, until time.Duration }{
			{0, silentTime},
			{silentTime - 1, 2*silentTime - 1},
			{inboundTime - 1, inboundTime},
		} {
			time.Sleep(time.Until(begin.Add(test.at)))
			if _, err := read.Read(make([]byte, 1)); err != nil || s.deadline.Sub(begin) != test.until {
				t.Errorf("after %v until %v, want %v: %v", test.at, s.deadline.Sub(begin), test.until, err)
			}
		}
	})
}
