// SPDX-License-Identifier: MIT

package blockstore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"
)

// scan has a scanner pass bytes, in pieces of a size, and returns the entries of
// the last message.
func scan(said []byte, piece int) (int, error) {
	var s scanner
	for len(said) > 0 {
		n := min(piece, len(said))
		if err := s.pass(said[:n]); err != nil {
			return s.entries, err
		}
		said = said[n:]
	}
	return s.entries, nil
}

// framed puts a length before a message.
func framed(msg []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(msg))), msg...)
}

// TestScanGolden has messages byte by byte.
func TestScanGolden(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		entries   int
		err       error
	}{
		{"nothing", "00", 0, nil},
		{"an empty wantlist", "020a00", 0, nil},
		{"a want, a cancel, and that all are told", "0c" + "0a0a" + "0a020a00" + "0a021801" + "1001", 2, nil},
		{"two wantlists", "08" + "0a020a00" + "0a020a00", 2, nil},
		{"one of each", "0c" + "0a020a00" + "120161" + "1a00" + "2200" + "2807", 4, errMalformed}, // one byte too many
		{"one of each", "0d" + "0a020a00" + "120161" + "1a00" + "2200" + "2807", 4, nil},
		{"two messages, the last with one block", "041a001a00" + "021a00", 1, nil},
		{"a block of bytes that look like blocks", "06" + "1a04" + "1a001a00", 1, nil},
		{"fields that nobody knows", "12" + "3001" + "3d00000000" + "4100000000000000" + "00" + "4a00", 0, nil},
		{"a list that is a number", "02" + "1801", 0, nil},
		{"a wantlist beyond the message", "02" + "0a01", 0, errMalformed},
		{"a block beyond the message", "03" + "1a0261", 1, errMalformed},
		{"a want beyond the wantlist", "06" + "0a020a02" + "6161", 1, errMalformed},
		{"a number beyond the message", "01" + "9a" + "00", 0, errMalformed},
		{"a number of 65 bits", "0b" + "28" + "ffffffffffffffffff02", 0, errMalformed},
		{"field 0", "02" + "0200", 0, errMalformed},
		{"a group", "02" + "0b0c", 0, errGroup},
		{"the end of one", "01" + "0c", 0, errMalformed},
	} {
		said, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{1, 3, len(said)} {
			if n, err := scan(said, piece); n != c.entries || !errors.Is(err, c.err) {
				t.Errorf("%s, %d bytes at a time: %d entries, error %v; want %d, %v", c.name, piece, n, err, c.entries, c.err)
			}
		}
	}
}

// TestScanLimit has a message with as many entries as it may have, and one more.
func TestScanLimit(t *testing.T) {
	for _, entry := range []string{"\x12\x00", "\x1a\x00", "\x22\x00", "\x0a\x02\x0a\x00"} {
		most := bytes.Repeat([]byte(entry), maxEntries)
		if n, err := scan(framed(most), 1000); n != maxEntries || err != nil {
			t.Errorf("%x: %d entries, error %v", entry, n, err)
		}
		if _, err := scan(framed(append(most, entry...)), 1000); !errors.Is(err, errEntries) {
			t.Errorf("%x: error %v of one too many", entry, err)
		}
	}
}

// TestScanSpends reads the worst of messages as boxo does, through the scanner.
func TestScanSpends(t *testing.T) {
	bomb := framed(bytes.Repeat([]byte{0x1a, 0x00}, 2<<20-8)) // decoded it has 222 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := message.FromNet(&scanned{Stream: &stream{r: bytes.NewReader(bomb)}}); !errors.Is(err, errEntries) {
		t.Errorf("error %v", err)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 5<<20 { // the 4 MiB that it says it has
		t.Errorf("%d KiB spent on a bomb", spent>>10)
	}
}

// stream is one that only reads.
type stream struct {
	network.Stream
	r io.Reader
}

func (s *stream) Read(p []byte) (int, error) { return s.r.Read(p) }
func (s *stream) Reset() error               { return nil }

// FuzzBlockMessage: the scanner takes what boxo takes, and counts what boxo gets.
func FuzzBlockMessage(f *testing.F) {
	want := message.New(true)
	have := message.New(false)
	for _, text := range []string{"a", "b", "c"} {
		block := blocks.NewBlock([]byte(text))
		want.AddEntry(block.Cid(), 3, pb.Message_Wantlist_Block, true)
		want.Cancel(cid.NewCidV1(cid.Raw, block.Cid().Hash()))
		have.AddBlock(block)
		have.AddDontHave(cid.NewCidV1(cid.Raw, block.Cid().Hash()))
	}
	have.SetPendingBytes(1 << 30)
	for _, m := range []message.BitSwapMessage{want, have} {
		for _, old := range []*pb.Message{m.ToProtoV0(), m.ToProtoV1()} {
			raw, err := proto.Marshal(old)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Add(bytes.Repeat([]byte{0x1a, 0x00}, maxEntries+1))
	f.Add([]byte{0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, msg []byte) {
		said := framed(msg)
		n, err := scan(said, len(said))
		if m, e := scan(said, 1); m != n || !errors.Is(e, err) {
			t.Fatalf("%d entries, %v in one piece; %d, %v in many", n, err, m, e)
		}
		var got pb.Message
		if proto.Unmarshal(msg, &got) != nil {
			return
		}
		entries := len(got.GetWantlist().GetEntries()) + len(got.Blocks) + len(got.Payload) + len(got.BlockPresences)
		switch {
		case entries > maxEntries:
			if !errors.Is(err, errEntries) && !errors.Is(err, errGroup) {
				t.Errorf("%d entries: error %v", entries, err)
			}
		case err == nil && n != entries:
			t.Errorf("%d entries counted, boxo has %d", n, entries)
		case err != nil && !errors.Is(err, errGroup):
			t.Errorf("error %v, and boxo has none", err)
		}
	})
}
