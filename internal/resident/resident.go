// Package resident reads how much memory a process has in use.
package resident

import (
	"fmt"
	"os"
	"strings"
)

// Now returns the resident memory of a process in MB (MiB, as top shows them). It needs /proc.
func Now(pid int) (float64, error) { return read(pid, "VmRSS") }

// Most returns the highest resident memory that a process has had, in MB. It needs /proc.
func Most(pid int) (float64, error) { return read(pid, "VmHWM") }

func read(pid int, key string) (float64, error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, key+": %g kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("%s: no %s", file, key)
}
