// SPDX-License-Identifier: MIT

package blockstore_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"meshnode/blockstore"
	"meshnode/blockstore/blockstoretest"
	"meshnode/job"
)

// What is pinned here is frozen: a change makes every node with the old code a
// stranger. See docs/storage.md.
const (
	goldenBlock = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
	goldenCID   = "bafkreihs47dbavicuas3shbbaej3kl54x6lkgmbupqrmpr6ue24m34olvi"
	goldenSet   = "" +
		"a200010183" + // two fields: version 1; three files
		"a3006c6173736574732f656d707479" + // path "assets/empty"
		"0100" + // size 0
		"0280" + // no blocks
		"a3006c6173736574732f7a65726f73" + // path "assets/zeros"
		"011a00100001" + // size 1 MiB + 1
		"0282" + // two blocks
		"783b6261666b7265696271346665766c323772677572676e7862703761646834326171697964366f75666c78686a33677a6d637863787a6268366c6c61" + // 1 MiB of zeros
		"783b6261666b726569646f6771667a7a373574706b6d6a7a6a6b65343235787163726d7063696232703574673434686e626972756d6462706c35616475" + // one zero
		"a300687363656e652e7079" + // path "scene.py"
		"0105" + // size 5
		"0281" + // one block
		"783b6261666b726569626d366a673375783571756d68636e326233666c633374797536646d6c62347861377535626634347965676e726a686334796571" // hello
)

func TestGoldenFormat(t *testing.T) {
	st := blockstore.NewMemory(nil)
	defer st.Close()
	hello, err := st.PutBlock(t.Context(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if hello != goldenBlock {
		t.Errorf("block has CID %s, want %s", hello, goldenBlock)
	}
	cid, _, err := st.Import(t.Context(), []blockstore.Source{
		blockstoretest.Source("scene.py", []byte("hello")),
		blockstoretest.Source("assets/empty", nil),
		blockstoretest.Source("assets/zeros", make([]byte, job.MaxBlock+1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if cid != goldenCID {
		t.Errorf("set has CID %s, want %s", cid, goldenCID)
	}
	got, err := st.Block(t.Context(), cid, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(goldenSet)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("set encoded as\n%x, want\n%x", got, want)
	}
}
