package console_test

import (
	"context"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screens is the folder for pictures of the pages.
var screens = flag.String("screens", "", "write a picture of every page to this folder")

// browser starts Chromium, or skips the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("SMSPAGER_REQUIRE_ALL") == "" {
		t.Skip("chromium is missing; to run this test: apt-get install chromium")
	}
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, done := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(done)
	run(t, ctx)
	return ctx
}

// run carries out actions in a browser.
func run(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// get returns the result of an action in a browser.
func get[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// look shows pages as a person prefers them.
func look(scheme string, width int64) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	}))
}

// TestScreens writes pictures of all pages.
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("-screens names no folder")
	}
	w := newWorld(t, "alertmanager: {urls: [\"http://127.0.0.1:1\"]}\n")
	w.night()
	empty := newWorld(t, "")
	empty.caller = open
	server, none := httptest.NewServer(w), httptest.NewServer(empty)
	ctx := browser(t)
	for name, address := range map[string]string{
		"now": server.URL + "/", "page": server.URL + "/pages/6279", "pages": server.URL + "/pages", "empty": none.URL + "/", "missing": server.URL + "/nowhere", "ended": server.URL + "/pages/4391",
	} {
		for _, scheme := range []string{"dark", "light"} {
			for _, width := range []int64{390, 1280} {
				run(t, ctx, look(scheme, width), chromedp.Navigate(address))
				picture := get(t, ctx, chromedp.FullScreenshot(90))
				size := map[int64]string{390: "phone", 1280: "desktop"}[width]
				if err := os.WriteFile(filepath.Join(*screens, name+"-"+scheme+"-"+size+".jpg"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
