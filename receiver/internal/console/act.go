package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/internal/oncall/command"
	"github.com/smspager/smspager/receiver/outbox"
)

const (
	// via is how a page's history describes an action in the console.
	via = "in the console"
	// maxForm is the maximum size of a form, and maxNote that of a note, in bytes.
	maxForm = 64 << 10
	maxNote = 2000
	// maxActRetries is how often an action is retried if its page was stored again without news.
	maxActRetries = 3
)

// result is the outcome of the reader's action. It is shown in place of the button.
type result struct {
	Page    outbox.Page // after the action
	Verb    command.Verb
	Text    string
	Done    bool
	Changed []string // what has happened since the reader saw the page, if it prevented the action
	Note    string   // what the reader wrote, if it was not stored
}

// responder returns the contact that the caller acts as. If the caller may not act, it shows why.
func (c *Console) responder(w http.ResponseWriter, r *http.Request) (contact string, ok bool) {
	caller := access.From(r.Context())
	err := caller.May(config.Responder)
	if err == nil && caller.Contact == "" {
		err = access.ErrNobody
	}
	if err != nil {
		c.forbid(w, r, err)
		return "", false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, http.StatusBadRequest, "The form cannot be read.", "")
		return "", false
	}
	return caller.Contact, true
}

func (c *Console) serveAct(w http.ResponseWriter, r *http.Request) {
	verb, known := command.Verbs[r.PathValue("verb")]
	if !known {
		c.serveNotFound(w, r)
		return
	}
	by, ok := c.responder(w, r)
	if !ok {
		return
	}
	act := command.Act{Verb: verb, Page: r.PathValue("code"), By: by, Via: via}
	if fault := readForm(r, &act); fault != "" {
		c.fail(w, r, http.StatusBadRequest, fault, "Go back, load the page again, and try again.")
		return
	}
	done, err := c.act(r, act)
	var unknown *command.UnknownContactError
	switch {
	case errors.Is(err, outbox.ErrNotFound):
		c.fail(w, r, http.StatusNotFound, "No page has the code "+act.Page+".", "")
		return
	case errors.As(err, &unknown):
		c.fail(w, r, http.StatusForbidden, "Your login acts as "+by+", which is not a contact.", "Correct console.users, or add the contact.")
		return
	case err != nil:
		if r.Context().Err() == nil {
			c.o.Logger.Error("cannot store what somebody did in the console", "page", act.Page, "action", act.Verb, "err", err)
		}
		c.fail(w, r, http.StatusServiceUnavailable, "Nothing was done: it cannot be stored.", "Try again in a moment, or reply to the text. The log says what is wrong.")
		return
	}
	code := http.StatusOK
	if done.Changed != nil || !done.Done {
		code = http.StatusConflict
	}
	if r.PostForm.Get("from") == "now" {
		c.showNow(w, r, code, done)
		return
	}
	c.showPage(w, r, code, done)
}

// readForm reads the fields of an action. It returns a fault in them, or "".
func readForm(r *http.Request, act *command.Act) (fault string) {
	var err error
	if act.Version, err = strconv.Atoi(r.PostForm.Get("version")); err != nil || act.Version < 1 {
		return "The form has no version of the page."
	}
	switch act.Verb {
	case command.Silence:
		length := r.PostForm.Get("for")
		if clock, ok := strings.CutPrefix(length, "until "); ok {
			if _, err := time.Parse("15:04", clock); err != nil {
				return "The silence has no end."
			}
			act.Until = strings.ReplaceAll(clock, ":", "")
			return ""
		}
		d, err := model.ParseDuration(length)
		if act.Length = time.Duration(d); err != nil || d <= 0 {
			return "The silence has no end."
		}
	case command.Note:
		act.Text = strings.TrimSpace(r.PostForm.Get("text"))
		switch {
		case act.Text == "":
			return "The note is empty."
		case len(act.Text) > maxNote:
			return "The note is too long: write at most " + strconv.Itoa(maxNote) + " bytes."
		}
	}
	return ""
}

// act performs an action. If the page has changed since the reader saw it, that is reported in the
// result, not as an error. If the page was merely stored again, without news for the reader, act tries
// again with its new version.
func (c *Console) act(r *http.Request, act command.Act) (*result, error) {
	f := c.frame(r, "", "")
	seen, _ := strconv.ParseInt(r.PostForm.Get("seen"), 10, 64)
	acted, err := c.o.OnCall.Act(r.Context(), act)
	var changed *command.ChangedError
	for tries := 0; errors.As(err, &changed); tries++ {
		if seen > changed.Page.UpdatedAt.UnixMilli() { // nobody can have seen the future
			seen = 0
		}
		news := since(f, changed.Page, time.UnixMilli(seen), act.By)
		if len(news) > 0 || tries == maxActRetries || act.Version > changed.Page.Version {
			return &result{Page: changed.Page, Verb: act.Verb, Changed: append(news, "now it is "+string(changed.Page.State)), Note: act.Text}, nil
		}
		act.Version = changed.Page.Version
		acted, err = c.o.OnCall.Act(r.Context(), act)
	}
	if err != nil {
		return nil, err
	}
	done := &result{Page: acted.Page, Verb: act.Verb, Text: f.Shown(sentence(acted.Text)), Done: acted.Done}
	if !acted.Done {
		done.Note = act.Text
	}
	return done, nil
}

// since returns what has happened to a page since the reader saw it. It leaves out the reader's own
// actions.
func since(f *Frame, p outbox.Page, seen time.Time, reader string) []string {
	var all []string
	for _, e := range p.Events {
		title, _, did := eventWords(e)
		if e.At.Truncate(time.Millisecond).After(seen) && !(did && e.Who == reader) {
			all = append(all, f.when(e.At).Exact()+" "+f.Shown(title))
		}
	}
	return all
}

// serveAcknowledgeMine serves POST /pages/acknowledge. Each field "page" has the code of a page, its
// version, and when it last changed, as "6279:7:1764295692000".
func (c *Console) serveAcknowledgeMine(w http.ResponseWriter, r *http.Request) {
	by, ok := c.responder(w, r)
	if !ok {
		return
	}
	all, code := &result{Verb: command.Acknowledge}, http.StatusOK
	for _, field := range r.PostForm["page"][:min(len(r.PostForm["page"]), cards)] {
		parts := strings.Split(field, ":")
		version, err := 0, error(nil)
		if len(parts) == 3 {
			version, err = strconv.Atoi(parts[1])
			r.PostForm.Set("seen", parts[2])
		}
		if len(parts) != 3 || err != nil {
			c.fail(w, r, http.StatusBadRequest, "The form cannot be read.", "Load the page again, and try again.")
			return
		}
		done, err := c.act(r, command.Act{Verb: command.Acknowledge, Page: parts[0], Version: version, By: by, Via: via})
		switch {
		case err != nil:
			all.Changed = append(all.Changed, parts[0]+" is not acknowledged: it cannot be stored, or does not exist")
		case done.Changed != nil:
			all.Changed = append(all.Changed, parts[0]+" is not acknowledged, because it has changed: "+strings.Join(done.Changed, "; "))
		default:
			all.Done = true
			all.Text = strings.TrimSpace(all.Text + " " + done.Text)
		}
	}
	if all.Changed != nil {
		code = http.StatusConflict
	}
	c.showNow(w, r, code, all)
}
