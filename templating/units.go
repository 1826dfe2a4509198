package templating

import "strings"

// unitNames lists the units that are written directly after a number, longer ones first.
var unitNames = []string{
	"KiB/s", "MiB/s", "GiB/s", "KB/s", "MB/s", "GB/s", "kB/s", "req/s", "msg/s", "ops/s", "Kbps", "Mbps", "Gbps", "kbps",
	"KiB", "MiB", "GiB", "TiB", "PiB", "B/s", "rps", "qps", "bps", "rpm", "KB", "kB", "MB", "GB", "TB", "PB", "Ki", "Mi", "Gi", "Ti", "ms", "us", "µs", "ns", "min", "hours", "Hz", "MHz", "GHz",
	"/s", "/m", "/min", "°C", "°F", "%", "s", "m", "h", "d", "w", "B", "K", "k", "M", "G", "T", "C", "V", "W", "A", "x",
}

// unitEnd returns the end of the unit after a number that ends at i, or i. A duration with several
// units, such as 1h30m, is one figure.
func unitEnd(s string, i int) int {
	at := i
	if at < len(s) && s[at] == ' ' { // "97 %", "3 GiB"
		at++
		if at == len(s) || s[at] != '%' && (at+1 == len(s) || s[at] < 'A' || s[at] > 'Z' && s[at] != 'm') {
			return i
		}
	}
	for _, unit := range unitNames {
		if !strings.HasPrefix(s[at:], unit) || at > i && len(unit) < 2 && unit != "%" {
			continue
		}
		end := at + len(unit)
		if unit == "%" || end == len(s) || !isWordByte(s[end]) && s[end] != '-' {
			return end
		}
		if strings.Contains("smhdw", unit) && s[end] >= '0' && s[end] <= '9' { // 1h30m
			if rest := unitEnd(s, numberEnd(s, end)); rest > numberEnd(s, end) {
				return rest
			}
		}
	}
	return i
}
