package zoneinfo

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// offsets holds the offsets of the regions whose law changed in 2026 (releases 2026a to 2026f).
var offsets = map[string]int{
	"America/Winnipeg": -5, "America/Edmonton": -6, "America/Vancouver": -7, "America/Inuvik": -6, "Africa/Casablanca": 0, "America/Havana": -4, "Europe/Paris": 1,
}

// without makes Load look for the machine's data in other folders.
func without(t *testing.T, instead ...string) {
	t.Helper()
	before := folders
	t.Cleanup(func() { folders = before })
	t.Setenv("ZONEINFO", "")
	folders = instead
}

func TestEmbedded(t *testing.T) {
	without(t)
	if got := InUse(); got.Source != Program || got.Release < "2026f" || got.Outdated() != "" {
		t.Errorf("InUse returns %+v, outdated %q", got, got.Outdated())
	}
	winter := time.Date(2026, 11, 30, 14, 30, 0, 0, time.UTC)
	for name, want := range offsets {
		zone, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := winter.In(zone).Zone(); got != want*3600 || zone.String() != name {
			t.Errorf("%s is %d s from UTC, want %d h", zone, got, want)
		}
	}
	zones := 0
	err := fs.WalkDir(files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		zones++
		_, err = Load(name)
		return err
	})
	if err != nil || zones < 590 {
		t.Errorf("%d zones, %v", zones, err)
	}
	for _, name := range []string{"Nowhere", "", "UTC", "../etc/passwd", "/Europe/Paris", "+VERSION", "Europe"} {
		if _, err := Load(name); (err == nil) != (name == "" || name == "UTC") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestMachineFirst(t *testing.T) {
	dir := t.TempDir()
	paris, err := fs.ReadFile(files(), "Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Europe/Paris", string(paris))
	without(t, filepath.Join(dir, "none"), dir)
	if got := InUse(); got != (Data{Release: unknown, Source: dir}) || got.Outdated() != "" {
		t.Errorf("InUse returns %+v, outdated %q", got, got.Outdated())
	}
	write("+VERSION", "2025a\n")
	if got := InUse(); got.Release != "2025a" || got.Outdated() == "" {
		t.Errorf("InUse returns %+v, outdated %q", got, got.Outdated())
	}
	write("tzdata.zi", "# version 2099a\n# This zic input file is in the public domain.\n")
	if got := InUse(); got.Release != "2099a" || got.Outdated() != "" {
		t.Errorf("InUse returns %+v, outdated %q", got, got.Outdated())
	}
	t.Setenv("ZONEINFO", filepath.Join(dir, "tzdata.zi")) // a file, not a folder
	if got := InUse(); got.Release != unknown || got.Source != filepath.Join(dir, "tzdata.zi") {
		t.Errorf("InUse returns %+v", got)
	}
}
