// Package realpart skips or fails tests whose real part (a database, a browser, another program) is not installed.
package realpart

import (
	"os"
	"os/exec"
	"testing"
)

// Required reports whether a missing part is a failure, that is, whether SMSPAGER_REQUIRE_ALL is set, as in .ci/run.
func Required() bool { return os.Getenv("SMSPAGER_REQUIRE_ALL") != "" }

// Missing skips a test, or fails it if all parts are required. The reason says how to install the part.
func Missing(t testing.TB, reason any) {
	t.Helper()
	if Required() {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Program returns the path of a program, or ends the test as [Missing] does. install is the command that installs it.
func Program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed: "+install)
	}
	return path
}
