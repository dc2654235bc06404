// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// testStage is the name under which this test program runs as a job.
const testStage = "meshnode-sandbox-test"

func TestMain(m *testing.M) {
	MaybeInit()
	if filepath.Base(os.Args[0]) == testStage {
		os.Exit(testJob(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}
