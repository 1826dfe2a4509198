// Package zoneinfo loads time zones, and knows the release of their data. The machine's own data comes
// first, because its owner can update it without a new smspager; without any, the copy in the program
// is used. Go's own copy is not used, because it is as old as the Go release.
package zoneinfo

import (
	"archive/zip"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:generate go run gen.go

// zones is a zip file with a TZif file (RFC 8536) for each zone; release is the release of its data.
// gen.go writes both.
var (
	//go:embed zoneinfo.zip
	zones string
	//go:embed release
	release string
)

// Data is the origin of the zones that Load returns.
type Data struct {
	Release string // of the IANA database, such as "2026f"; "unknown" if the machine's data does not say
	Source  string // the machine's folder or file, or [Program]
}

// Program is the Source if a machine has no zone data.
const Program = "program"

// unknown is the Release of data that does not say its release.
const unknown = "unknown"

// folders lists the folders that Go looks in, in Go's order.
var folders = []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}

// InUse returns the origin of the zones that Load returns now.
func InUse() Data {
	for _, source := range machine() {
		if release := releaseOf(source); release != "" {
			return Data{Release: release, Source: source}
		}
	}
	return Data{Release: Embedded(), Source: Program}
}

// Embedded returns the release of the copy in the program.
func Embedded() string {
	return strings.TrimSpace(release)
}

// Outdated returns a warning if the machine's data is older than the copy in the program, otherwise "".
func (d Data) Outdated() string {
	if d.Source == Program || d.Release == unknown || d.Release >= Embedded() {
		return ""
	}
	return fmt.Sprintf("the time zone data in %s is release %s, and %s is out: times may be wrong where the law has changed since; update the machine's tzdata package",
		d.Source, d.Release, Embedded())
}

// Load returns a zone of the IANA database. "" is UTC, as in [time.LoadLocation].
func Load(name string) (*time.Location, error) {
	found := InUse()
	if found.Source != Program {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil // the machine's package may lack old names
		}
	}
	if name == "" || name == "UTC" || name == "Local" {
		return time.LoadLocation(name)
	}
	data, err := fs.ReadFile(files(), name)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	return time.LoadLocationFromTZData(name, data)
}

// Names returns the names of all zones, in order.
func Names() []string {
	var names []string
	_ = fs.WalkDir(files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names
}

// files opens the copy in the program. It is not kept open, because zones are loaded only with a
// configuration.
func files() fs.FS {
	r, err := zip.NewReader(strings.NewReader(zones), int64(len(zones)))
	if err != nil {
		panic(err) // a test reads the zip file
	}
	return r
}

// machine returns the folders and files where Go looks for the machine's data, $ZONEINFO first.
func machine() []string {
	if source := os.Getenv("ZONEINFO"); source != "" {
		return append([]string{source}, folders...)
	}
	return folders
}

// releaseOf returns the release of the data in one of the machine's folders or files, or "" if there is
// no data.
func releaseOf(source string) string {
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return ""
	case !info.IsDir(): // such as Go's zoneinfo.zip
		return unknown
	}
	if _, err := os.Stat(filepath.Join(source, "Europe/Paris")); err != nil {
		return ""
	}
	// Distributions ship tzdata.zi, whose first line is "# version 2026f"; macOS and BSD have +VERSION.
	for _, name := range []string{"tzdata.zi", "+VERSION"} {
		f, err := os.Open(filepath.Join(source, name))
		if err != nil {
			continue
		}
		var begin [32]byte
		n, _ := f.Read(begin[:])
		_ = f.Close()
		line, _, _ := strings.Cut(string(begin[:n]), "\n")
		if release := strings.TrimSpace(strings.TrimPrefix(line, "# version ")); release != "" && !strings.Contains(release, " ") {
			return release
		}
	}
	return unknown
}
