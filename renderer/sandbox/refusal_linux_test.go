// SPDX-License-Identifier: MIT

package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What a system refuses is told with the setting that does, and what to do.
func TestDescribeRefusal(t *testing.T) {
	told := errors.New("open_tree /usr: operation not permitted") // by the helper
	tests := []struct {
		name  string
		err   error
		made  bool
		set   map[string]string
		wants []string
	}{
		{"Ubuntu", told, true, map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, []string{bubblewrap, "kernel.apparmor_restrict_unprivileged_userns is 1", "open_tree"}},
		{"Debian, switched off", fmt.Errorf("fork: %w", unix.EPERM), false, map[string]string{"kernel.unprivileged_userns_clone": "0"}, []string{bubblewrap, "kernel.unprivileged_userns_clone is 0"}},
		{"none at all", fmt.Errorf("fork: %w", unix.ENOSPC), false, map[string]string{"user.max_user_namespaces": "0"}, []string{"raise", "user.max_user_namespaces is 0"}},
		{"too many", fmt.Errorf("fork: %w", unix.ENOSPC), false, map[string]string{"user.max_user_namespaces": "5"}, []string{"raise"}},
		{"a container", fmt.Errorf("fork: %w", unix.EPERM), false, nil, []string{bubblewrap, "container"}},
	}
	for _, test := range tests {
		err := describeRefusal(test.err, test.made, func(name string) string { return test.set[name] })
		for _, want := range test.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", test.name, err, want)
			}
		}
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v hides the error", test.name, err)
		}
	}
	for _, err := range []error{errors.New("start /usr/bin/none: no such file or directory"), told} {
		if got := describeRefusal(err, true, func(string) string { return "" }); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
