// SPDX-License-Identifier: MIT

package sandbox

import (
	"runtime"
	"sync"
	"syscall"
)

// starts is served by one goroutine on one thread for as long as the program
// lives: a job dies with the thread that started it (PR_SET_PDEATHSIG), and
// other threads of Go come and go.
var starts = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

// onStarter runs f on the thread that starts jobs.
func onStarter(f func() error) error {
	result := make(chan error)
	starts() <- func() { result <- f() }
	return <-result
}

func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
