// Package testwait waits in tests that run in real time, against processes, databases and
// browsers. Tests in a bubble of testing/synctest do not need it.
package testwait

import (
	"testing"
	"time"
)

const (
	// limit is far longer than anything takes on a busy machine; only a defect reaches it.
	limit = time.Minute
	pause = 5 * time.Millisecond
)

// Until calls holds until it returns nil. If it still returns an error after a minute, the
// test fails with that error.
func Until(t testing.TB, holds func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(pause) {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", limit, err)
		}
	}
}
