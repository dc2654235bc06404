// SPDX-License-Identifier: MIT

package sandbox

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// settings of a system by which an ordinary program gets no namespaces, or none of
// the rights in them that Own needs, with the value at which it does.
var settings = []struct{ name, value, why, remedy string }{
	{"user.max_user_namespaces", "0", "user namespaces are switched off", "raise it"},
	{"kernel.unprivileged_userns_clone", "0", "ordinary programs may make no user namespaces", bubblewrap + ", or set it to 1"},
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "AppArmor gives ordinary programs no rights in user namespaces", bubblewrap + ", or set it to 0"},
}

// bubblewrap is what to do where the system makes an exception of it.
const bubblewrap = "install bubblewrap (package bubblewrap), which may be let"

// describeRefusal says in words why the kernel has refused a step of Own's start,
// and what to do. made: the namespaces are there, so it is more than their making
// that was refused. The helper's errors are texts.
func describeRefusal(err error, made bool, sysctl func(name string) string) error {
	text := err.Error()
	has := func(errno unix.Errno) bool { return strings.Contains(text, errno.Error()) }
	if !has(unix.EPERM) && !has(unix.EACCES) && !has(unix.ENOSPC) {
		return err
	}
	for _, s := range settings {
		if sysctl(s.name) == s.value {
			return fmt.Errorf("%s (%s is %s): %s: %w", s.why, s.name, s.value, s.remedy, err)
		}
	}
	switch {
	case made:
		return err
	case has(unix.ENOSPC):
		return fmt.Errorf("there are as many user namespaces as there may be (user.max_user_namespaces): raise that: %w", err)
	}
	return fmt.Errorf("this system lets no ordinary program make user namespaces (a container, AppArmor or SELinux): %s: %w", bubblewrap, err)
}

// sysctl reads a setting of the kernel; "" if it has none.
func sysctl(name string) string {
	text, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.TrimSpace(string(text))
}
