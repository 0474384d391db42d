package chdb

import (
	"syscall"
	"unsafe"
)

// sigactionBytes is larger than C's struct sigaction on Linux (152 bytes): it is only ever saved and put back whole.
const sigactionBytes = 256

type savedHandler struct {
	signal  syscall.Signal
	handler [sigactionBytes]byte
}

// takenSignals are those that libchdb installs handlers for, or may: the deadly ones and the ones that end a server.
var takenSignals = [...]syscall.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS,
	syscall.SIGFPE, syscall.SIGUSR1, syscall.SIGSEGV, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGTERM,
	syscall.SIGTSTP, syscall.SIGSYS,
}

func (l *Library) saveSignals() []savedHandler {
	saved := make([]savedHandler, len(takenSignals))
	for i, s := range takenSignals {
		saved[i].signal = s
		l.sigaction(int32(s), nil, unsafe.Pointer(&saved[i].handler))
	}
	return saved
}

func (l *Library) restoreSignals(saved []savedHandler) {
	for i := range saved {
		l.sigaction(int32(saved[i].signal), unsafe.Pointer(&saved[i].handler), nil)
	}
}
