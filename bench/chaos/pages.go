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
)

// pagers is how many goroutines open pages, each one after another.
const pagers = 4

// page opens pages, which nobody acknowledges, until the context ends. Then it sends the texts of
// those that got a 200.
func (w *world) page(ctx context.Context) <-chan []string {
	result := make(chan []string, 1)
	var mu sync.Mutex
	var all []string
	var posting sync.WaitGroup
	for pager := range pagers {
		random := rand.New(rand.NewPCG(w.seed, uint64(1000+pager)))
		posting.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				text := fmt.Sprintf("pager %d page %d", pager, n)
				for tries := 0; !w.postPage(w.replicas[(pager+tries)%len(w.replicas)].url(), text); tries++ {
					time.Sleep(100 * time.Millisecond)
				}
				mu.Lock()
				all = append(all, text)
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(random.IntN(3000)) * time.Millisecond):
				}
			}
		})
	}
	go func() {
		posting.Wait()
		result <- all
	}()
	return result
}

// postPage reports whether a page got a 200.
func (w *world) postPage(url, text string) bool {
	body := fmt.Sprintf(`{"version":"4","receiver":"oncall","status":"firing","groupKey":%q,"notification_reason":"first notification",
		"alerts":[{"status":"firing","labels":{"alertname":"Page","page":%q},"startsAt":"2026-11-23T19:24:46Z"}],"commonAnnotations":{"summary":%q}}`, pageGroup(text), text, text)
	resp, err := client.Post(url+"/alertmanager", "application/json", strings.NewReader(body))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// judgePages waits until all steps are due, and checks that each was taken once. It counts pages
// separately that a process sent while the store failed and could not store before it was killed:
// nobody escalates them.
func (w *world) judgePages(ctx context.Context, pages []string) error {
	time.Sleep(2*escalateAfter + 2*time.Second)
	const patience = 3 * time.Minute
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		n, err := w.waiting()
		if err == nil && n == 0 {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%d texts of pages are still waiting (%v)", n, err)
		}
	}
	recorded, err := w.recordedPages()
	if err != nil {
		return err
	}
	taken := make(map[[2]string]int) // by number and text
	for _, m := range w.sim.Messages() {
		text, _, _ := strings.Cut(m.Text, "\n")
		taken[[2]string{"+" + m.To, text}]++
	}
	var complaints []error
	var skipped, doubled, unrecorded int
	for _, text := range pages {
		if !recorded[pageGroup(text)] && taken[[2]string{steps[0], text}] == 1 {
			unrecorded++
			continue
		}
		for i, to := range steps {
			switch n := taken[[2]string{to, text}]; {
			case n == 0:
				skipped++
				complaints = append(complaints, fmt.Errorf("page %q: step %d was skipped", text, i))
			case n > 1:
				doubled++
				complaints = append(complaints, fmt.Errorf("page %q: step %d was taken %d times", text, i, n))
			}
		}
	}
	fmt.Fprintf(w.out, "%d pages, of three steps each: %d steps skipped, %d doubled; %d pages sent past the outbox were never recorded\n",
		len(pages), skipped, doubled, unrecorded)
	return errors.Join(complaints[:min(len(complaints), 10)]...)
}

// pageGroup returns the group key of a page.
func pageGroup(text string) string { return fmt.Sprintf(`{}:{page=%q}`, text) }

// recordedPages returns the group keys of the pages that the outbox has.
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
