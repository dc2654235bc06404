// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meshnode/blockstore"
	"meshnode/node"
)

// A store is shown, checked and cleared while no node runs.
func TestStoreWithoutNode(t *testing.T) {
	home := t.TempDir()
	st, err := blockstore.NewDisk(filepath.Join(home, "blocks"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		cid, err := st.PutBlock(t.Context(), []byte(strings.Repeat(text, 100)))
		if err == nil && text == "three" {
			err = st.Pin(t.Context(), "self-tests", cid)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(code int, into any, args ...string) {
		t.Helper()
		c := newCommand(t, home, append(append([]string{"store"}, args...), "--json")...)
		c.finish(t, code)
		if err := json.Unmarshal(c.stdout.Bytes(), into); err != nil {
			t.Fatalf("%q: %v", c.stdout.String(), err)
		}
	}
	var status node.StorageStatus
	run(0, &status)
	want := node.StoreOwner{Owner: "self-tests", Blocks: 1, Bytes: 500}
	if status.Blocks != 3 || status.Bytes != 1100 || status.Pinned != 500 || len(status.Owners) != 1 || status.Owners[0] != want || status.Free == nil {
		t.Errorf("status %+v", status)
	}
	text := newCommand(t, home, "store")
	text.finish(t, 0)
	if got := text.stdout.String(); !strings.Contains(got, "1.1 kB in 3 blocks") || !strings.Contains(got, "self-tests") {
		t.Error(got)
	}

	var verified node.StorageVerified
	run(0, &verified, "verify")
	files, err := filepath.Glob(filepath.Join(home, "blocks/data/*/*.data"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil && len(data) == 300 && data[0] == 'o' {
			data[7] ^= 1
			err = os.WriteFile(f, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run(1, &verified, "verify")
	if verified.Blocks != 3 || verified.Bytes != 800 || len(verified.Damaged) != 1 {
		t.Errorf("verified %+v", verified)
	}

	var collected node.StorageCollected
	run(0, &collected, "collect", "--quota", "0", "--dry-run")
	if collected != (node.StorageCollected{Freed: 300, Left: 500, DryRun: true}) {
		t.Errorf("dry run %+v", collected)
	}
	run(0, &collected, "collect", "--quota", "0.6kB")
	run(0, &collected, "collect", "--quota", "0")
	if collected != (node.StorageCollected{Left: 500}) {
		t.Errorf("collected %+v", collected)
	}
	newCommand(t, home, "store", "collect", "--quota", "much").finish(t, 2)
	newCommand(t, filepath.Join(home, "none"), "store").finish(t, 1)
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "17": 17, "500B": 500, "1.5 kB": 1500, "2GB": 2e9, "3M": 3e6, "1GiB": 1 << 30, "1ki": 1024, "1TB": 1e12,
	} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, error %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "1XB", "-1", "1.2.3", "1iB", "1 G B", "9e99", "99999999999TB", "NaN"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}
