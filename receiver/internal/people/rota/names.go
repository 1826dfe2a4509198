package rota

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/smspager/smspager/internal/zoneinfo"
)

//go:generate go run windows_gen.go

// zones holds the time zones that a file defines or names.
type zones struct {
	defined map[string]*component // VTIMEZONEs
	known   map[string]zone
	unknown map[string]error
	places  map[string]string // the result of zonesByPlace; nil until it is needed
}

func newZones() zones {
	return zones{defined: make(map[string]*component), known: make(map[string]zone), unknown: make(map[string]error)}
}

// named returns the zone with a name. It searches the machine's database, the file's definitions, Windows
// names, database names after a prefix, offsets such as GMT+05:30, and the names that Windows displays.
// The file's definition precedes the database's unless the name has the form Area/City (RFC 5545,
// 3.2.19).
func (z *zones) named(id string) (zone, error) {
	id = strings.TrimSpace(id)
	if known := z.known[id]; known != nil {
		return known, nil
	}
	if err := z.unknown[id]; err != nil {
		return nil, err
	}
	found, err := z.find(id)
	if err != nil {
		z.unknown[id] = err
		return nil, err
	}
	z.known[id] = found
	return found, nil
}

func (z *zones) find(id string) (zone, error) {
	own := z.defined[id]
	if strings.Contains(strings.Trim(id, "/"), "/") || own == nil {
		if l, err := load(id); err == nil {
			return l, nil
		}
	}
	if own != nil {
		parsed, err := parseTimezone(own)
		if err != nil {
			return nil, fmt.Errorf("time zone %.60q: %w", id, err)
		}
		return parsed, nil
	}
	if l, ok := behind(id); ok {
		return l, nil
	}
	if m := offsetName.FindStringSubmatch(id); m != nil {
		hours, _ := strconv.Atoi(m[2])
		minutes, _ := strconv.Atoi(m[3])
		seconds := hours*3600 + minutes*60
		if m[1] == "-" {
			seconds = -seconds
		}
		return location{time.FixedZone(id, seconds)}, nil
	}
	if l, ok := z.displayed(id); ok {
		return l, nil
	}
	return nil, fmt.Errorf("the time zone %.60q is not defined", id)
}

// offsetName matches "GMT+05:30" and "UTC-3".
var offsetName = regexp.MustCompile(`(?i)^\(?(?:UTC|GMT)\s*([+-])(\d{1,2}):?(\d{2})?\)?$`)

// behind returns the database's zone for a Windows name, or for a database name after a prefix.
func behind(id string) (location, bool) {
	if name := windows[id]; name != "" {
		l, err := load(name)
		return l, err == nil
	}
	for rest, more := strings.TrimPrefix(id, "/"), true; more; _, rest, more = strings.Cut(rest, "/") {
		if l, err := load(rest); err == nil && strings.Contains(rest, "/") {
			return l, true
		}
	}
	return location{}, false
}

func load(name string) (location, error) {
	if name == "" || name == "Local" {
		return location{}, errors.New("no zone")
	}
	l, err := zoneinfo.Load(name)
	if err != nil {
		return location{}, err
	}
	return location{l}, nil
}

// first returns the moment at which a clock shows a wall-clock time. If the clock shows it twice, that is
// the earlier moment; if the clock skips it, the moment according to the offset before the change (RFC
// 5545, 3.3.5).
func first(wall time.Time, before, after time.Time, shows func(time.Time) time.Time) time.Time {
	early, late := before, after
	if late.Before(early) {
		early, late = late, early
	}
	for _, moment := range []time.Time{early, late} {
		if shows(moment).Equal(wall) {
			return moment
		}
	}
	return before
}
