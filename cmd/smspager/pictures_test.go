package main

import (
	"bufio"
	"bytes"
	"flag"
	"image"
	"image/color"
	imagedraw "image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smspager/smspager/internal/browsertest"
)

// pictures is the folder of the pictures in the docs.
var pictures = flag.String("pictures", "", "write the pictures of the docs to this folder, from the demo's night")

// maxPicture is the maximum size of a picture in the docs, in bytes.
const maxPicture = 120_000

// TestDemoConsole: the demo leaves the console running, with the pages of a night. With -pictures, the test
// makes the pictures of the docs.
func TestDemoConsole(t *testing.T) {
	tab := browsertest.New(t)
	cmd := command("demo", "--console")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after an interrupt, the demo ends with %v", err)
		}
	})
	base := ""
	for lines := bufio.NewScanner(out); base == "" && lines.Scan(); {
		if found := regexp.MustCompile(`^The console: (http://127\.0\.0\.1:[0-9]+)/$`).FindStringSubmatch(lines.Text()); found != nil {
			base = found[1]
		}
	}
	if base == "" {
		t.Fatal("the demo does not say where the console is")
	}
	tab.Open(base+"/", "light", 1000)
	page := tab.Text(`[...document.querySelectorAll('.page h3 a')].find(a => a.innerText.includes('KubePodCrashLooping')).getAttribute('href')`)
	for _, p := range []struct{ name, path, scheme, has string }{
		{"now-light", "/", "light", "KubePodCrashLooping"}, {"now-dark", "/", "dark", "KubePodCrashLooping"}, {"page", page, "light", "Timeline"},
		{"duty", "/duty", "light", "You are on duty"}, {"templates", "/templates", "light", "On the phone"}, {"health", "/health", "light", "Messages arrive"},
	} {
		tab.Open(base+p.path, p.scheme, 1000)
		tab.Until(`document.querySelector('main').innerText.includes('` + p.has + `')`)
		for _, fault := range tab.Faults() {
			t.Errorf("%s: %s", p.name, fault)
		}
		picture := small(t, tab.Picture())
		if len(picture) > maxPicture {
			t.Errorf("the picture of %s has %d bytes, want at most %d", p.name, len(picture), maxPicture)
		}
		if *pictures != "" {
			if err := os.WriteFile(filepath.Join(*pictures, "console-"+p.name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPictures: the docs show each picture, and each picture is small.
func TestPictures(t *testing.T) {
	files, err := filepath.Glob("../../docs/images/console-*.png")
	if err != nil || len(files) != 6 {
		t.Fatalf("docs/images has %v, %v", files, err)
	}
	docs := ""
	for _, name := range []string{"../../docs/console.md", "../../README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs += string(text)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Size() > maxPicture {
			t.Errorf("%s has %d bytes, want at most %d", file, info.Size(), maxPicture)
		}
		if !strings.Contains(docs, "images/"+filepath.Base(file)) {
			t.Errorf("no docs show %s", file)
		}
	}
}

// small returns a picture with at most 256 colors.
func small(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[color.RGBA]int)
	for y := full.Bounds().Min.Y; y < full.Bounds().Max.Y; y++ {
		for x := full.Bounds().Min.X; x < full.Bounds().Max.X; x++ {
			count[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	var colors []color.RGBA
	for c := range count {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range colors[:min(len(colors), 256)] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(full.Bounds(), palette)
	imagedraw.Draw(few, few.Bounds(), full, full.Bounds().Min, imagedraw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, few); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
