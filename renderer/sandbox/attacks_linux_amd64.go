// SPDX-License-Identifier: MIT

package sandbox

import "golang.org/x/sys/unix"

// onMachine are attacks that this architecture alone has.
var onMachine = []aim{
	syscallAim("modify_ldt", unix.SYS_MODIFY_LDT, 0, 0, 0),
	syscallAim("iopl", unix.SYS_IOPL, 3),
	syscallAim("ioperm", unix.SYS_IOPERM, 0x80, 1, 1),
}
