package oncall_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFieldReplies sends each text of testdata/field, which is /work/shared/field, with one page open.
func TestFieldReplies(t *testing.T) {
	files, _ := filepath.Glob("testdata/field/replies-*.jsonl")
	if len(files) == 0 {
		t.Fatal("there are no files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				var r struct{ Reply, Code, Want string }
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				inWorld(t, escalating, func(w *world) {
					a := w.phone(alice)
					w.fire()
					a.expect(time.Second, "CRITICAL...Re CODE")
					reply := strings.ReplaceAll(r.Reply, "CODE", a.code)
					at := 0
					reply = strings.Map(func(c rune) rune { // the code's digits replace those of the reply
						if r.Code == "" || c < '0' || c > '9' {
							return c
						}
						at++
						return rune(a.code[at-1])
					}, reply)
					a.say("%s", reply)
					got := w.page().State
					if _, list := w.do("GET", "/api/v1/contacts", ""); strings.Contains(list, `"stopped"`) {
						got = "stopped"
					}
					if !strings.Contains(r.Want, got) {
						t.Errorf("%q: %s, want %s", r.Reply, got, r.Want)
					}
				})
			}
		})
	}
}

// TestFieldCallbacks posts each callback of testdata/field.
func TestFieldCallbacks(t *testing.T) {
	files, _ := filepath.Glob("testdata/field/mo-*.json")
	if len(files) == 0 {
		t.Fatal("there are no files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			inWorld(t, strings.ReplaceAll(escalating, alice, "+33639980001"), func(w *world) {
				w.fire()
				after(time.Second)
				m := w.sim.Messages()[0]
				body := strings.NewReplacer("API_ID", m.APIID, `"ID"`, `"`+w.page().Messages[0].ID+`"`, ": CODE", ": "+w.page().Code).Replace(string(text))
				if code, text := w.do("POST", "/textinghouse/"+token+"/mo", body); code != 200 || w.page().State != "acknowledged" {
					t.Errorf("%d %s; the page is %s", code, text, w.page().State)
				}
			})
		})
	}
}
