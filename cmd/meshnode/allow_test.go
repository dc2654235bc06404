// SPDX-License-Identifier: MIT

package main

import "testing"

func TestRoles(t *testing.T) {
	const id = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	home := t.TempDir() // without a node
	output(t, home, "block", id)
	output(t, home, "allow", "--work-only", "others")
	golden(t, "roles.txt", output(t, home, "allow"))
	golden(t, "roles.json", output(t, home, "allow", "--json"))

	home = t.TempDir()
	newFakeNode(home).serve(t, home)
	golden(t, "roles-named.txt", output(t, home, "allow"))
}
