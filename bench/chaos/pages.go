package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// pagers is how many goroutines open pages, each one after another.
const pagers = 4

// paged is a page whose notification got a 200.
type paged struct {
	text               string
	first, began, done time.Time // when it was first posted, when it was last posted, when it got its 200
}

// page opens pages, which nobody acknowledges, until the context ends. Then the channel gets those
// that got a 200.
func (w *world) page(ctx context.Context) <-chan []paged {
	result := make(chan []paged, 1)
	var mu sync.Mutex
	var all []paged
	var posting sync.WaitGroup
	for pager := range pagers {
		random := rand.New(rand.NewPCG(w.seed, uint64(1000+pager)))
		posting.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				p := paged{text: fmt.Sprintf("pager %d page %d", pager, n), first: time.Now()}
				for tries := 0; ; tries++ {
					p.began = time.Now()
					if w.postPage(w.replicas[(pager+tries)%len(w.replicas)].url(), p.text) {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				p.done = time.Now()
				mu.Lock()
				all = append(all, p)
				mu.Unlock()
				pause(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
			}
		})
	}
	go func() {
		posting.Wait()
		result <- all
	}()
	return result
}

// postPage posts the notification of a page, and reports whether it got a 200.
func (w *world) postPage(url, text string) bool {
	body := fmt.Sprintf(`{"version":"4","receiver":"oncall","status":"firing","groupKey":%q,"notification_reason":"first notification",
		"alerts":[{"status":"firing","labels":{"alertname":"Page","severity":"critical","page":%q},"annotations":{"summary":%q},"startsAt":"2026-11-23T19:24:46Z"}],"commonAnnotations":{"summary":%q}}`, pageGroup(text), text, text, text)
	resp, err := client.Post(url+"/alertmanager", "application/json", strings.NewReader(body))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// judgePages waits until all steps are due, and checks that each was executed once. It counts a page
// separately if a process sent it while the store failed, and was killed before it could store it:
// nobody escalates such a page.
func (w *world) judgePages(ctx context.Context, pages []paged) error {
	time.Sleep(2*escalateAfter + 2*time.Second)
	late := w.allSent(ctx)
	recorded, err := w.recordedPages()
	if err != nil {
		return err
	}
	accepted := make(map[send][]textinghousetest.SMS)
	for _, m := range w.accepted() {
		text, _, _ := strings.Cut(m.Text, "\n")
		key := send{"+" + m.To, text}
		accepted[key] = append(accepted[key], m)
	}
	v := &verdict{}
	var calm, rough, hindered latencies
	for _, p := range pages {
		first := accepted[send{steps[0], p.text}]
		if len(first) > 0 && w.calm.works(p.began, false, provider, account) {
			at := first[0].At
			took, of := at.Sub(p.began), &rough
			switch {
			case w.calm.works(p.began, true, provider, account, process, database, clock):
				of = &calm
			case took > settled && w.calm.isFelt(p.began, at, 0, provider, account, getstatus):
				of = &hindered
			}
			*of = append(*of, took)
			if of == &calm && took > 100*time.Millisecond || took > 10*time.Second {
				w.log("slow: %q took %s from %s: %s", p.text, took, p.began.UTC().Format(time.StampMilli), w.history(first[0].ClientID))
			}
		}
		w.judgeSteps(v, p, recorded[pageGroup(p.text)], accepted)
	}
	fmt.Fprintf(w.out, "%d pages, of three steps each: %d steps skipped, %d doubled, %d doubled as declared; because a process sent them while the store failed, and was killed before it could store them, %d steps doubled and %d pages never recorded; %d excused, because a backup was restored that was older\n",
		len(pages), v.lost, v.twice, v.declared, v.forgotten, v.unknown, v.excused)
	fmt.Fprintf(w.out, "webhook to request of critical pages while everything works: %s; while the provider works, and the database or a process does not, or something did not shortly before: %s; beside these, pages that waited while the provider or its getstatus failed, too: %s\n", calm, rough, hindered)
	return errors.Join(append(v.complaints, late)...)
}

// judgeSteps judges the steps of a page.
func (w *world) judgeSteps(v *verdict, p paged, recorded bool, accepted map[send][]textinghousetest.SMS) {
	ends := p.done.Add(2*escalateAfter + 2*time.Second)
	for _, to := range steps {
		for _, m := range accepted[send{to, p.text}] {
			if m.At.After(ends) {
				ends = m.At
			}
		}
	}
	switch {
	case w.lost.touch(p.first, ends):
		v.excused++
		return
	case !recorded && len(accepted[send{steps[0], p.text}]) > 0:
		v.unknown++
		if len(accepted[send{steps[0], p.text}]) > 1 { // two replicas sent it, because the first could not respond in time
			v.forgotten++
		}
		return
	}
	for i, to := range steps {
		switch all := accepted[send{to, p.text}]; {
		case len(all) == 0:
			v.lost++
			v.complain("page %q, 200 at %s: step %d was skipped", p.text, p.done.UTC().Format(time.StampMilli), i)
		case len(all) > 1 && i > 0 && len(accepted[send{steps[0], p.text}]) == 1 && !w.declared(all[0].ClientID): // of one page: a step that is executed again has the same message IDs
			v.twice++
			v.complain("page %q, 200 at %s: step %d was accepted as %s", p.text, p.done.UTC().Format(time.StampMilli), i, describe(all))
		case len(all) > 1:
			w.repeated(v, all, "page %q, 200 at %s: step %d was accepted as %s", p.text, p.done.UTC().Format(time.StampMilli), i, describe(all))
		}
	}
}

// pageGroup returns the group key of a page.
func pageGroup(text string) string { return fmt.Sprintf(`{}:{page=%q}`, text) }

// recordedPages returns the group keys of the pages in the outbox.
func (w *world) recordedPages() (map[string]bool, error) {
	recorded := make(map[string]bool)
	for before := ""; ; {
		resp, err := client.Get(w.replicas[0].url() + "/api/v1/pages?limit=500&before=" + before)
		if err != nil {
			return nil, err
		}
		var list struct {
			Pages []struct {
				GroupKey string `json:"group_key"`
			}
			Next string
		}
		err = json.NewDecoder(resp.Body).Decode(&list)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		for _, p := range list.Pages {
			recorded[p.GroupKey] = true
		}
		if before = list.Next; before == "" {
			return recorded, nil
		}
	}
}
