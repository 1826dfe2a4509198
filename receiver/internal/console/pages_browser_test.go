package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/smspager/smspager/internal/browsertest"
	"github.com/smspager/smspager/receiver/config"
)

// write replaces the contents of the template's field as a person does.
const write = `(text => { const e = document.querySelector('#template'); e.focus(); e.value = text; e.dispatchEvent(new Event('input', {bubbles: true})); return 1 })`

// TestPlaygroundLive: while a template is typed, the bubble is updated. A fault shows its place, and the
// last good text stays. The form keeps its contents.
func TestPlaygroundLive(t *testing.T) {
	w := newWorld(t, "")
	tab := browsertest.New(t)
	tab.Open(w.serve("bob")+"/templates", "dark", 1280)
	tab.Until(`document.querySelector('#phone .bubble').innerText.includes('NodeFilesystem')`)
	tab.Text(write + `('{{ len .Alerts }} are bad')`)
	tab.Until(`document.querySelector('#phone .bubble').innerText === '3 are bad'`)
	tab.Text(write + `('{{ len .Alerts }}\n{{ itme . }}')`)
	tab.Until(`document.querySelector('#fault').innerText.includes('Line 2:')`)
	if text := tab.Text(`document.querySelector('#phone .bubble')?.innerText`); text != "3 are bad" {
		t.Errorf("the text next to the fault is %q, want the last good one", text)
	}
	if text := tab.Text(`document.querySelector('#template').value + ' ' + document.activeElement.id`); text != "{{ len .Alerts }}\n{{ itme . }} template" {
		t.Errorf("the form is %q", text)
	}
	tab.Text(write + `('{{ len .Alerts }} alerts')`)
	tab.Text(`(e => { e.value = '01-single-firing-critical'; e.dispatchEvent(new Event('input', {bubbles: true})); return 1 })(document.querySelector('#sample'))`)
	tab.Until(`document.querySelector('#phone .bubble').innerText === '1 alerts'`)
	tab.Until(`document.querySelector('#fault').innerText === ''`)
	tab.Until(`document.querySelector('#phone pre').innerText.includes('{{ len .Alerts }} alerts')`)
	for _, fault := range append(tab.Faults(), tab.Barriers()...) {
		t.Error(fault)
	}
}

// TestPagesWithoutScripts: the playground, the filters and a verification work without JavaScript.
func TestPagesWithoutScripts(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.WithoutScripts()
	as := w.serveAs("alice", config.Admin)
	tab.Open(as+"/templates", "light", 390)
	tab.Do(chromedp.SendKeys(chromedp.CSS("#template"), "\n{{ itme . }}"), chromedp.Click(chromedp.CSS("#draft button")))
	tab.Until(`document.querySelector('#fault').innerText.includes('Line 2:')`)
	tab.Open(as+"/messages", "light", 390)
	tab.Do(chromedp.SendKeys(chromedp.CSS("#to"), "carol"), chromedp.Click(chromedp.CSS(".filter button")))
	tab.Until(`location.search.includes('to=carol') && document.querySelectorAll('#messages li').length === 1`)
	tab.Open(as+"/contacts", "light", 390)
	tab.Do(chromedp.Click(chromedp.CSS("#c-carol form button")))
	tab.Until(`document.querySelector('#c-carol .result')?.innerText.includes('A code was sent to carol.')`)
}

// TestVerifyLive: the result replaces the button, and stays through updates.
func TestVerifyLive(t *testing.T) {
	w := newWorld(t, "")
	w.night()
	tab := browsertest.New(t)
	tab.Open(w.serveAs("alice", config.Admin)+"/contacts", "dark", 390)
	tab.Do(chromedp.Click(chromedp.CSS("#c-carol form button")))
	tab.Until(`document.querySelector('#c-carol .result')?.innerText.includes('A code was sent to carol.')`)
	before := tab.Text(`document.querySelector('#live').dataset.now`)
	w.put(w.load("6279")) // browsers are notified of a change
	tab.Until(`document.querySelector('#live').dataset.now !== '` + before + `'`)
	tab.Until(`document.querySelector('#c-carol .result')`)
	for _, fault := range append(tab.Faults(), tab.Barriers()...) {
		t.Error(fault)
	}
}
