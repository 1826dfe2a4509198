// Package zoneinfo loads time zones, and knows the release of the data that they come from. The
// machine's own data comes first, because its owner can keep it new without a new smspager; a machine
// without any uses the copy in the program. Go's own copy is not used: it is as old as the Go release.
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

// zones is a zip file with a TZif file (RFC 8536) for each zone, and release is their release. gen.go
// writes both.
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

// Program is the source of a machine without zone data.
const Program = "program"

// unknown is the release of data that does not say it.
const unknown = "unknown"

// folders are those that Go looks in, in its order.
var folders = []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}

// InUse returns the origin of the zones that are loaded now.
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
			return zone, nil // a package of the machine may lack old names
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

// files returns the copy in the program. It is not kept, as zones are loaded with a configuration only.
func files() fs.FS {
	r, err := zip.NewReader(strings.NewReader(zones), int64(len(zones)))
	if err != nil {
		panic(err) // a test reads it
	}
	return r
}

// machine returns where Go looks for the machine's data. $ZONEINFO comes first, as there.
func machine() []string {
	if source := os.Getenv("ZONEINFO"); source != "" {
		return append([]string{source}, folders...)
	}
	return folders
}

// releaseOf returns the release of a folder or file of the machine, or "" if there is no data.
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
