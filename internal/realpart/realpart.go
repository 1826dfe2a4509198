// Package realpart skips or fails tests whose real part (a database, a browser, another program) is not installed.
package realpart

import (
	"os"
	"os/exec"
	"testing"
)

// Required reports whether a missing part is a failure, that is, whether SMSPAGER_REQUIRE_ALL is set, as in .ci/run.
func Required() bool { return os.Getenv("SMSPAGER_REQUIRE_ALL") != "" }

// Missing skips a test, or fails it if parts are [Required]. reason says how to install the part.
func Missing(t testing.TB, reason any) {
	t.Helper()
	if Required() {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Program returns the path of a program. Without the program, it skips or fails the test, see [Missing]. install is
// the command that installs the program.
func Program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed: "+install)
	}
	return path
}
