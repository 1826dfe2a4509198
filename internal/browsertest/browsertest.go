// Package browsertest opens pages in Debian's Chromium.
package browsertest

import (
	"context"
	_ "embed"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/smspager/smspager/internal/realpart"
	"github.com/smspager/smspager/internal/testwait"
)

// patience is the longest time for a whole test.
const patience = 8 * time.Minute

// axe is axe-core, see README.md.
//
//go:embed axe.min.js
var axe string

// Tab is a tab of a browser. If one of its methods fails, it ends the test.
type Tab struct {
	t   testing.TB
	ctx context.Context
}

// New starts a browser and returns its first tab. Without Chromium, it skips or fails the test, see
// [realpart.Missing].
func New(t testing.TB) *Tab {
	t.Helper()
	path := realpart.Program(t, "chromium", "apt-get install chromium")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // ends before its folder is removed
	tab := &Tab{t, ctx}
	tab.watch()
	return tab
}

// Tab opens another tab.
func (tab *Tab) Tab() *Tab {
	tab.t.Helper()
	ctx, cancel := chromedp.NewContext(tab.ctx)
	tab.t.Cleanup(cancel)
	other := &Tab{tab.t, ctx}
	other.watch()
	return other
}

func (tab *Tab) watch() {
	tab.t.Helper()
	tab.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		// Each tab acts as if it were in front.
		if _, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watcher})
		return err
	}))
}

// Do carries out actions.
func (tab *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := chromedp.Do(tab.ctx, actions...); err != nil {
		tab.t.Fatal(err)
	}
}

// Open opens an address with a preferred color scheme, in a window of a given width.
func (tab *Tab) Open(address, scheme string, width int64) {
	tab.t.Helper()
	tab.Do(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}), chromedp.Navigate(address))
}

// WithoutScripts disables JavaScript for the pages that are opened next.
func (tab *Tab) WithoutScripts() {
	tab.t.Helper()
	tab.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// Text returns the value of a JavaScript expression as text. The page's policy does not apply to it.
func (tab *Tab) Text(expression string) string {
	tab.t.Helper()
	return Eval[string](tab, "String("+expression+")")
}

// Until waits until a JavaScript expression is true. It may fail while a page is loading.
func (tab *Tab) Until(expression string) {
	tab.t.Helper()
	testwait.Until(tab.t, func() error {
		if holds, err := eval[bool](tab, "Boolean("+expression+")"); holds || err != nil {
			return err
		}
		text, _ := eval[string](tab, "document.body.innerText")
		return fmt.Errorf("%s is not true on\n%s", expression, text)
	})
}

// Eval returns the value of a JavaScript expression.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	v, err := eval[T](tab, expression)
	if err != nil {
		tab.t.Fatal(err)
	}
	return v
}

func eval[T any](tab *Tab, expression string) (T, error) {
	v, err := chromedp.Run(tab.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		err = fmt.Errorf("%.200s: %w", expression, err)
	}
	return v, err
}

// Picture returns the whole page as a PNG.
func (tab *Tab) Picture() []byte {
	tab.t.Helper()
	picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatal(err)
	}
	return picture
}

// watcher records the faults of a page.
const watcher = `window.faults = []
addEventListener('securitypolicyviolation', e => faults.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile))
addEventListener('error', e => faults.push('error: ' + e.message))
addEventListener('unhandledrejection', e => faults.push('rejection: ' + e.reason))
console.error = (...all) => faults.push('console: ' + all.join(' '))`

// Faults returns the violations of the page's policy and the errors of its scripts since it was opened.
func (tab *Tab) Faults() []string {
	tab.t.Helper()
	return Eval[[]string](tab, "faults")
}

// Barriers returns the serious and critical findings of axe-core on the page.
func (tab *Tab) Barriers() []string {
	tab.t.Helper()
	if _, err := chromedp.Run(tab.ctx, chromedp.Evaluate[any](axe+";0")); err != nil {
		tab.t.Fatal(err)
	}
	return Eval[[]string](tab, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations
		.filter(v => v.impact === 'serious' || v.impact === 'critical')
		.flatMap(v => v.nodes.map(n => v.id + ' (' + v.impact + '): ' + n.html.slice(0, 200) + ' ' + n.failureSummary)))`)
}
