//go:build ignore

// This program writes zoneinfo.zip and release from the machine's tzdata.zi (Debian: packages tzdata and libc-bin),
// or from the tzdata.zi named by its argument.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	source := "/usr/share/zoneinfo/tzdata.zi"
	if len(os.Args) > 1 {
		source = os.Args[1]
	}
	text, err := os.ReadFile(source)
	check(err)
	line, _, _ := strings.Cut(string(text), "\n")
	release, ok := strings.CutPrefix(line, "# version ")
	if !ok {
		panic(source + " does not begin with its version")
	}
	dir, err := os.MkdirTemp("", "zoneinfo")
	check(err)
	defer os.RemoveAll(dir)
	zic := exec.Command("zic", "-b", "slim", "-d", dir, source)
	zic.Stderr = os.Stderr
	check(zic.Run())

	var out bytes.Buffer
	z := zip.NewWriter(&out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Time{}})
		check(err)
		_, err = w.Write(data)
		check(err)
	}
	files := os.DirFS(dir)
	check(fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		add(name, data)
		return err
	}))
	check(z.Close())
	check(os.WriteFile("zoneinfo.zip", out.Bytes(), 0o644))
	check(os.WriteFile("release", []byte(release+"\n"), 0o644))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
