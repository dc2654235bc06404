// SPDX-License-Identifier: MIT

package sandbox

import (
	"flag"
	"os"
	"testing"
)

// testStage as first argument makes this test program the job of a test.
const testStage = "sandbox-test-job"

func TestMain(m *testing.M) {
	MaybeInit()
	if len(os.Args) > 2 && os.Args[1] == testStage {
		os.Exit(testJob(os.Args[2], os.Args[3:]))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait more than they work
		panic(err)
	}
	os.Exit(m.Run())
}
