// SPDX-License-Identifier: MIT

package p2p

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"os"
	"sync"

	"github.com/libp2p/go-libp2p/gologshim"
)

// quietLibraries keeps what libp2p and zeroconf log off the user's terminal:
// what matters comes back as an error. zeroconf knows no logger but the
// standard one. GOLOG_LOG_LEVEL, libp2p's own switch, turns libp2p's log on.
var quietLibraries = sync.OnceFunc(func() {
	log.SetOutput(zeroconfFilter{log.Writer()})
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		gologshim.SetDefaultHandler(slog.DiscardHandler)
	}
})

// zeroconfFilter drops the lines that zeroconf writes.
type zeroconfFilter struct{ next io.Writer }

var zeroconfMarks = [][]byte{
	[]byte("[zeroconf] "), []byte("[ERR] zeroconf: "), []byte("[WARN] mdns: "), []byte("failed to unregister: "),
}

func (f zeroconfFilter) Write(line []byte) (int, error) {
	for _, mark := range zeroconfMarks {
		if bytes.Contains(line, mark) {
			return len(line), nil
		}
	}
	return f.next.Write(line)
}
