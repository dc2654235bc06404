// SPDX-License-Identifier: MIT

package sandbox

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The root of a container often lacks the right to look into processes of others. What
// they have open is counted all the same.
func TestLimitsByRootOfContainer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || raceDetector {
		t.Skip("is not root, or a program under the race detector, which cannot be a job")
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.timeout=5m", "-test.run=^TestLimits$/./^(pipes|descriptors_sent|memory_of_the_kernel)$")
	ran := make(chan error)
	go func() {
		runtime.LockOSThread() // it ends with the goroutine, as it cannot get the right back
		err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, 0, 0, 0)
		if err == nil {
			text, runErr := cmd.CombinedOutput()
			t.Logf("%s", text)
			err = runErr
		}
		ran <- err
	}()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
