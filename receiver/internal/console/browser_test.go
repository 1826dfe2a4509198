package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/alertmanager/template"

	"github.com/smspager/smspager/internal/browsertest"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/oncall/page"
)

// screens is the folder for screenshots of the pages.
var screens = flag.String("screens", "", "write a picture of every page to this folder")

// serve serves the world to a contact.
func (w *world) serve(contact string) string { return w.serveAs(contact, config.Responder) }

// serveAs serves the world to a contact with a role.
func (w *world) serveAs(contact string, role config.Role) string {
	caller := access.Caller{Login: contact, Contact: contact, Role: role}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serveTo(caller, rw, r) }))
	w.t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// later makes a page's scripts believe that a minute has passed.
const later = `(Date.now = (real => () => real() + 60e3)(Date.now), 1)`

// TestEveryPage opens every page in light and dark, on narrow and wide screens. No page scrolls sideways or
// violates the content security policy; axe-core finds nothing serious; and touch targets on the narrow
// screen are 48 px high.
func TestEveryPage(t *testing.T) {
	w := newWorld(t, "alertmanager: {urls: [\"http://127.0.0.1:1\"]}\n")
	w.night()
	w.month()
	long := strings.Repeat("VeryLongName_of-something/", 20)
	w.open("9999", "storage", 26*time.Hour, firing(strings.Repeat("x", 150), "rather-"+long[:60], long+strings.Repeat("y", 300), template.KV{"pod": long, long[:100]: "v", "other": strings.Repeat("z", 400)}), bob)
	empty := newWorldOf(t, "textinghouse: {user: acme, password: secret}\nreceivers: [{name: sms, to: [\"+33639980001\"]}]\n")
	empty.caller = open
	night, none := w.serve("bob"), httptest.NewServer(empty)
	t.Cleanup(none.CloseClientConnections)
	all := []map[string]string{{
		"now": night + "/", "page": night + "/pages/6279", "long": night + "/pages/9999", "held": night + "/pages/5512", "ended": night + "/pages/4391", "pages": night + "/pages?state=current", "missing": night + "/nowhere",
	}, {
		"messages": night + "/messages", "message": night + "/messages/" + w.messages[0].ID, "duty": night + "/duty", "duty-later": night + "/duty?from=" + time.Now().AddDate(0, 0, 14).Format(time.DateOnly),
		"templates": night + "/templates", "contacts": night + "/contacts", "health": night + "/health",
	}, {
		"empty": none.URL + "/", "empty-pages": none.URL + "/pages",
		"empty-messages": none.URL + "/messages", "empty-duty": none.URL + "/duty", "empty-templates": none.URL + "/templates", "empty-contacts": none.URL + "/contacts", "empty-health": none.URL + "/health",
	}}
	for _, pages := range all {
		tab := browsertest.New(t)
		for name, address := range pages {
			for _, scheme := range []string{"dark", "light"} {
				for size, width := range map[string]int64{"narrow": 320, "phone": 390, "wide": 1280} {
					if size == "phone" && *screens == "" {
						continue // only for screenshots
					}
					tab.Open(address, scheme, width)
					if *screens != "" {
						if err := os.WriteFile(filepath.Join(*screens, name+"-"+scheme+"-"+size+".png"), tab.Picture(), 0o644); err != nil {
							t.Fatal(err)
						}
					}
					check(t, tab, fmt.Sprintf("%s, %s, %s", name, scheme, size))
				}
			}
		}
	}
}

// check reports the faults of a tab's page.
func check(t *testing.T, tab *browsertest.Tab, at string) {
	t.Helper()
	tab.Text("document.querySelectorAll('details').forEach(d => d.open = true)")
	if over := tab.Text("document.documentElement.scrollWidth - innerWidth"); over != "0" {
		t.Errorf("%s: the page is %s px too wide", at, over)
	}
	if small := tab.Text(`innerWidth > 320 ? '' : [...document.querySelectorAll('button,.btn,summary,select,textarea')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 47.9 && !e.matches('.skip')).map(e => e.outerHTML)`); small != "" {
		t.Errorf("%s: less than 48 px high: %s", at, small)
	}
	for _, fault := range append(tab.Faults(), tab.Barriers()...) {
		t.Errorf("%s: %s", at, fault)
	}
}

// TestWithoutScripts: without JavaScript, a person can act and sees the outcome.
func TestWithoutScripts(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.WithoutScripts()
	tab.Open(w.serve("bob")+"/", "dark", 390)
	tab.Do(chromedp.Click(chromedp.CSS("#p-6279 button")))
	tab.Until(`document.querySelector('#p-6279 .result')?.innerText.includes('OK, 6279 is yours')`)
	if p := w.load("6279"); p.AcknowledgedBy != "bob" {
		t.Errorf("6279 is held by %q", p.AcknowledgedBy)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#p-6281 h3 a")))
	tab.Until(`document.title.startsWith('6281')`)
	tab.Do(chromedp.Click(chromedp.CSS("#note summary")), chromedp.SendKeys(chromedp.CSS("#text"), "it is the disk"), chromedp.Click(chromedp.CSS("#note button")))
	tab.Until(`document.querySelector('.line').innerText.includes('it is the disk')`)
}

// TestLive: changes are patched into the page and its title.
func TestLive(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/", "light", 1280)
	next := tab.Text(`document.querySelector('#p-6279 time[data-as=in]').innerText`)
	tab.Until(`document.querySelector('#p-6279 time[data-as=in]').innerText !== '` + next + `'`)
	p := w.load("6279")
	p.Acknowledge(alice, time.Now(), "by reply")
	w.put(p)
	tab.Until(`document.querySelector('#p-6279 dd').innerText.includes('alice for')`)
	tab.Until(`document.title.startsWith('1 page is not acknowledged')`)
	if button := tab.Text(`document.querySelector('#p-6279 button')`); button != "null" {
		t.Error("the page that alice holds still has its button")
	}
	for _, fault := range tab.Faults() {
		t.Error(fault)
	}
}

// TestTwoBrowsers: if two people acknowledge simultaneously, one succeeds, and the other is shown who did.
func TestTwoBrowsers(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	w.deaf = true // no browser is notified of the other's action
	first := browsertest.New(t)
	second := first.Tab()
	first.Open(w.serve("alice")+"/pages/6279", "dark", 1280)
	second.Open(w.serve("bob")+"/", "dark", 390)
	var both sync.WaitGroup
	both.Go(func() { first.Text(`document.querySelector('#done form').requestSubmit()`) })
	both.Go(func() { second.Text(`document.querySelector('#p-6279 form').requestSubmit()`) })
	both.Wait()
	first.Until(`document.querySelector('.result')`)
	second.Until(`document.querySelector('.result')`)
	p := w.load("6279")
	results := map[string]string{"alice": first.Text(`document.querySelector('.result').innerText`), "bob": second.Text(`document.querySelector('.result').innerText`)}
	for who, text := range results {
		want := "OK, 6279 is yours"
		if who != p.AcknowledgedBy {
			want = p.AcknowledgedBy + " acknowledged it"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s reads %q, want %q; the holder is %s", who, text, want, p.AcknowledgedBy)
		}
	}
	if focus := first.Text(`document.activeElement.matches('.result')`); focus != "true" {
		t.Error("after the action, its result does not have the focus")
	}
}

// TestFormKeepsInput: updates do not change a form that a person is filling in.
func TestFormKeepsInput(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/pages/6279", "dark", 390)
	tab.Do(chromedp.Click(chromedp.CSS("#note summary")), chromedp.SendKeys(chromedp.CSS("#text"), "it is the"))
	change := func() {
		p := w.load("6279")
		p.Acknowledge(alice, time.Now(), "by reply")
		w.put(p)
		tab.Until(`document.querySelector('.say').innerText.includes('alice has it')`)
	}
	change()
	tab.Do(chromedp.SendKeys(chromedp.CSS("#text"), " disk"))
	if text := tab.Text(`document.querySelector('#note').open + ' ' + document.activeElement.id + ' ' + document.querySelector('#text').value`); text != "true text it is the disk" {
		t.Errorf("after an update, the form is %q", text)
	}
	p := w.load("6279")
	p.End(time.Now(), "all alerts are resolved") // the page no longer has the form
	w.put(p)
	w.open("6290", "oncall", time.Second, firing("Other", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Text(later)
	tab.Until(`document.querySelector('#stale').innerText.includes('updates wait until you have finished')`)
	if text := tab.Text(`document.querySelector('#text')?.value`); text != "it is the disk" {
		t.Errorf("after the page has ended, the form is %q", text)
	}
}

// TestActsInARow: after an action, open forms stay open and keep their contents, and can be submitted.
func TestActsInARow(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/pages/6279", "dark", 390)
	tab.Do(chromedp.Click(chromedp.CSS("#undo summary")), chromedp.Click(chromedp.CSS("#note summary")), chromedp.SendKeys(chromedp.CSS("#text"), "it is the disk"))
	tab.Do(chromedp.Click(chromedp.CSS("#done button")))
	tab.Until(`document.querySelector('.result')?.innerText.includes('6279 is yours')`)
	if text := tab.Text(`document.querySelector('#undo').open + ' ' + document.querySelector('#text').value`); text != "true it is the disk" {
		t.Errorf("after an action, the others are %q", text)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#note button")))
	tab.Until(`document.querySelector('.result')?.innerText.includes('the note is added')`)
	if text := tab.Text(`document.querySelector('#note').open + document.querySelector('#text').value`); text != "false" {
		t.Errorf("the note is still to be sent: %q", text)
	}
	tab.Do(chromedp.Click(chromedp.CSS("#undo button")))
	tab.Until(`document.querySelector('.result')?.innerText.includes('is open again')`)
}

// TestNothingMoves: a row under the pointer keeps its place and content, even if its page ends.
func TestNothingMoves(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/", "dark", 390)
	box := browsertest.Eval[[]float64](tab, `(() => { const r = document.querySelector('#p-6279 button').getBoundingClientRect(); return [r.x + 9, r.y + 9] })()`)
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, box[0], box[1]))
	top := tab.Text(`document.querySelector('#p-6279 button').getBoundingClientRect().top`)
	w.open("6290", "oncall", time.Hour, firing("Other", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`document.querySelector('#p-6290')`)
	if now := tab.Text(`document.querySelector('#p-6279 button').getBoundingClientRect().top`); now != top {
		t.Errorf("the button has moved from %s to %s", top, now)
	}
	p := w.load("6279")
	p.Do(page.Action{Kind: page.Expire, Why: "over"}, nil, nil, time.Now())
	w.put(p)
	w.open("6291", "oncall", 2*time.Hour, firing("Third", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`document.querySelector('#p-6291')`)
	if now := tab.Text(`document.querySelector('#p-6279 button')?.getBoundingClientRect().top`); now != top {
		t.Errorf("the button of a page that has ended has moved from %s to %s", top, now)
	}
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
	w.open("6292", "oncall", 3*time.Hour, firing("Fourth", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`!document.querySelector('#p-6279')`)

	// If the pointer has not moved for a while, nobody uses it: the row must not stay outdated.
	box = browsertest.Eval[[]float64](tab, `(() => { const b = document.querySelector('#p-6281 button'); b.scrollIntoView(); const r = b.getBoundingClientRect(); return [r.x + 9, r.y + 9] })()`)
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, box[0], box[1]))
	p = w.load("6281")
	p.Acknowledge(alice, time.Now(), "by reply")
	w.put(p)
	w.open("6293", "oncall", 4*time.Hour, firing("Fifth", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`document.querySelector('#p-6293')`)
	if text := tab.Text(`document.querySelector('#p-6281').innerText`); strings.Contains(text, "alice for") {
		t.Errorf("the row that the pointer is at has changed: %s", text)
	}
	tab.Text(later)
	w.open("6294", "oncall", 5*time.Hour, firing("Sixth", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`document.querySelector('#p-6281 dd').innerText.includes('alice for')`)
}

// TestStale: a page that gets no updates shows that.
func TestStale(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/", "dark", 390)
	tab.Until(`document.querySelector('#stale').hidden`)
	w.mu.Lock()
	w.err = http.ErrServerClosed
	w.mu.Unlock()
	tab.Text(later)
	tab.Until(`document.querySelector('#stale').innerText.includes('smspager does not respond')`)
}

// TestMenu: on a phone the menu opens, and updates do not close it.
func TestMenu(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/", "dark", 390)
	if open := tab.Text(`document.querySelector('#nav').checkVisibility()`); open != "false" {
		t.Error("the menu is open at first")
	}
	tab.Do(chromedp.Click(chromedp.CSS(".menu")))
	tab.Until(`document.querySelector('#nav').checkVisibility()`)
	w.open("6290", "oncall", time.Hour, firing("Other", "critical", "It is bad", template.KV{"pod": "a"}), bob)
	tab.Until(`document.querySelector('#p-6290')`)
	if open := tab.Text(`document.querySelector('#nav').checkVisibility()`); open != "true" {
		t.Error("the update has closed the menu")
	}
	for _, fault := range append(tab.Faults(), tab.Barriers()...) {
		t.Error(fault)
	}
}

// TestRefreshOnConnect: a change that precedes the connection for events is fetched soon after it is made.
func TestRefreshOnConnect(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	fetches := make(chan time.Time, 100)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			fetches <- time.Now()
		}
		w.serveTo(responder, rw, r)
	}))
	t.Cleanup(s.CloseClientConnections)
	browsertest.New(t).Open(s.URL+"/", "dark", 390)
	first := <-fetches
	select {
	case second := <-fetches:
		if took := second.Sub(first); took > 12*time.Second { // it is fetched every 15 s anyway
			t.Errorf("the page was fetched again after %s", took)
		}
	case <-time.After(time.Minute):
		t.Error("the page was not fetched again")
	}
}
