package console

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/access"
	"github.com/smspager/smspager/receiver/outbox"
	"github.com/smspager/smspager/templating"
)

// Previewer renders notifications. It stores and sends nothing.
type Previewer interface {
	// Decode reads the body of a webhook request.
	Decode(payload []byte) (templating.Notification, error)
	// Render renders the text of a notification for a receiver. text replaces the receiver's template,
	// and maxSegments its limit; "" and 0 keep them.
	Render(receiver string, n templating.Notification, text string, maxSegments int) (Rendered, error)
}

// Rendered is the text that a notification would become.
type Rendered struct {
	Ignored     bool // the receiver sends no text, because all alerts are resolved
	MaxSegments int
	templating.Rendering
}

const (
	// maxTemplate is the maximum size of a template to try, and maxDraft that of its form, in bytes.
	maxTemplate = 16 << 10
	maxDraft    = 1 << 20
	// maxSegments is the maximum of max_segments.
	maxSegments = 10
	// latest is the sample with a receiver's latest notification; pasted is the one with the reader's own.
	latest, pasted = "latest", "pasted"
)

// sampleNames lists the captured notifications with their titles. The first one is the default.
var sampleNames = []sample{
	{"03-group-three-firing", "a group, three firing"},
	{"01-single-firing-critical", "one alert, critical"},
	{"05-some-resolved-mixed", "some resolved"},
	{"09-truncation-hides-firing", "cut by Alertmanager"},
	{"10-unicode-scripts-emoji", "emoji and other scripts"},
}

//go:embed samples/*.json
var samples embed.FS

// sample is a notification to try a template on.
type sample struct{ Name, Title string }

// playground is the content of the page of templates.
type playground struct {
	*Frame
	Receivers   []string
	Receiver    string
	Template    string
	Own         string // the receiver's template as the reader may see it
	Samples     []sample
	Sample      string
	Payload     string
	Limits      []int
	MaxSegments int
	MayWrite    bool
	Fault       *templateFault // of the template
	Refused     string         // why the notification cannot be used
	Shown       bool           // there is a text
	Ignored     bool
	Bubble      bubble
	Done        []string
	YAML        string
}

// templateFault is a fault in a template, and its place.
type templateFault struct {
	Line, Column int // 0: unknown
	Text         string
	Source       string // the line, with a mark below the column
}

// servePlayground serves GET and POST /templates. Nothing is saved.
func (c *Console) servePlayground(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxDraft)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			c.fail(w, r, http.StatusRequestEntityTooLarge, "That is too large.", fmt.Sprintf("Template and notification may have %d bytes in all.", maxDraft))
			return
		}
		c.fail(w, r, http.StatusBadRequest, "The form cannot be read.", "")
		return
	}
	f := c.frame(r, "/templates", "Templates")
	f.Still = true // an update would replace what the reader is typing
	p := &playground{Frame: f, Samples: sampleNames, MayWrite: f.Caller.Open || f.Caller.May(config.Responder) == nil}
	for i := range maxSegments {
		p.Limits = append(p.Limits, i+1)
	}
	rc := c.chooseReceiver(p, r.Form.Get("receiver"))
	if rc == nil {
		c.fail(w, r, http.StatusNotFound, "There is no such receiver.", "Choose one from the list.")
		return
	}
	p.read(r, rc)
	if err := p.allowed(); err != nil {
		c.fail(w, r, access.Status(err), "You may not try a template of your own.", "It can keep smspager busy, so it needs the role “responder” (console.users).")
		return
	}
	c.try(r, p)
	if p.Fault != nil || p.Refused != "" {
		w.Header().Set("HX-Reswap", "none") // the last good text stays
	}
	c.render(w, r, http.StatusOK, "templates.html", p)
}

// chooseReceiver returns the receiver with a name, or the first one; nil if there is none.
func (c *Console) chooseReceiver(p *playground, name string) *config.Receiver {
	receivers := c.settings.Load().cfg.Receivers
	at := -1
	for i := range receivers {
		p.Receivers = append(p.Receivers, receivers[i].Name)
		if receivers[i].Name == name || name == "" && at < 0 {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	return &receivers[at]
}

// read reads the form's fields.
func (p *playground) read(r *http.Request, rc *config.Receiver) {
	p.Receiver, p.Own = rc.Name, p.Frame.Shown(rc.Text)
	p.Template = strings.ReplaceAll(r.Form.Get("template"), "\r\n", "\n")
	if strings.TrimSpace(p.Template) == "" {
		p.Template = p.Own
	}
	p.Payload = r.Form.Get("payload")
	if p.Sample = r.Form.Get("sample"); p.Sample == "" {
		p.Sample = sampleNames[0].Name
	}
	p.MaxSegments, _ = strconv.Atoi(r.Form.Get("max_segments")) // 0 if it is not a number
	if p.MaxSegments < 1 || p.MaxSegments > maxSegments {
		p.MaxSegments = rc.MaxSegments
	}
}

// allowed returns an error of package access if the reader may not try this template, because a template
// can take long.
func (p *playground) allowed() error {
	if p.Caller.Open || p.text() == "" {
		return nil
	}
	return p.Caller.May(config.Responder)
}

// text returns the template to try, or "" for the receiver's.
func (p *playground) text() string {
	if strings.TrimRight(p.Template, "\n") == strings.TrimRight(p.Own, "\n") {
		return ""
	}
	return p.Template
}

// try renders the notification, and fills in the outcome.
func (c *Console) try(r *http.Request, p *playground) {
	if len(p.Template) > maxTemplate {
		p.Fault = &templateFault{Text: fmt.Sprintf("The template is larger than %d bytes.", maxTemplate)}
		return
	}
	n, err := c.notification(r, p)
	if err != nil {
		p.Refused = sentence(capital(p.Frame.Shown(err.Error())))
		return
	}
	made, err := c.o.Previewer.Render(p.Receiver, n, p.text(), p.MaxSegments)
	if err == nil {
		err = made.Err
	}
	if err != nil {
		p.Fault = faultOf(p.Template, p.Frame.Shown(err.Error()))
		return
	}
	p.Shown, p.Ignored, p.MaxSegments = true, made.Ignored, made.MaxSegments
	var cut []string
	for _, s := range made.Shortened {
		cut = append(cut, s.To)
	}
	p.Bubble = bubbleOf(p.Frame, made.Text, anyOf(cut, leftOut))
	p.Done = p.done(&made)
	p.YAML = yamlOf(p.Receiver, p.MaxSegments, p.Template)
}

// notification returns the notification that the reader has chosen. The latest one is taken from the receiver's newest
// page.
func (c *Console) notification(r *http.Request, p *playground) (templating.Notification, error) {
	ps, err := c.o.Store.Pages(r.Context(), outbox.PageQuery{Receiver: p.Receiver, Limit: 1})
	if err == nil && len(ps) > 0 {
		p.Samples = append(slices.Clone(p.Samples), sample{latest, p.Receiver + ", received " + p.when(ps[0].UpdatedAt).ago()})
	}
	p.Samples = append(slices.Clone(p.Samples), sample{pasted, "pasted below"})
	switch {
	case p.Sample == pasted && strings.TrimSpace(p.Payload) == "":
		return templating.Notification{}, errors.New("paste a notification first: the body of a webhook of Alertmanager")
	case p.Sample == pasted:
		return c.o.Previewer.Decode([]byte(p.Payload))
	case p.Sample == latest && len(ps) > 0:
		stored := read(ps[0])
		n := stored.Notification
		if n.Alerts = alerts(stored); len(n.Alerts) == 0 {
			return n, errors.New("the page of this notification cannot be read")
		}
		return n, nil
	case !slices.ContainsFunc(sampleNames, func(s sample) bool { return s.Name == p.Sample }):
		return templating.Notification{}, errors.New("there is no such notification; choose one of the list")
	}
	body, err := samples.ReadFile("samples/" + p.Sample + ".json")
	if err != nil {
		return templating.Notification{}, err
	}
	return c.o.Previewer.Decode(body)
}

// done describes how the text was shortened or changed.
func (p *playground) done(made *Rendered) []string {
	var all []string
	total := made.Shown + made.Hidden
	switch {
	case made.Hidden > 0:
		all = append(all, fmt.Sprintf("%d of %s left out: at most %s (max_segments).", made.Hidden, counted(total, "alert"), counted(made.MaxSegments, "segment")))
	case total == 1:
		all = append(all, "The alert is in the text.")
	default:
		all = append(all, fmt.Sprintf("All %s are in the text.", counted(total, "alert")))
	}
	if made.Cut {
		all = append(all, "The text was cut at a word to fit.")
	}
	for _, s := range made.Shortened {
		all = append(all, fmt.Sprintf("“%s” is written as “%s”.", p.Frame.Shown(s.From), p.Frame.Shown(s.To)))
	}
	for _, ch := range made.Changes() {
		to := "“" + ch.To + "”"
		if ch.To == "" {
			to = "nothing"
		}
		all = append(all, fmt.Sprintf("“%s” is written as %s, %s: a text of one septet a character does not hold it, or it costs more.", ch.From, to, times(ch.Count)))
	}
	for _, choice := range made.Choices() {
		all = append(all, sentence(capital(choice.Part)+": "+p.Frame.Shown(choice.From)))
	}
	return append(all, fmt.Sprintf("%d %s are left in the last segment.", p.Bubble.Left(), p.Bubble.Unit))
}

// times returns a number of times in words: "once", "3 times".
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d%stimes", n, nbsp)
}

// faultAt matches the line, and the column if there is one, in text/template's error about a receiver's
// text.
var faultAt = regexp.MustCompile(`(?s)^(.*?)(?:template: )?\b(?:receiver's )*text:(\d+)(?::(\d+))?: (.*)$`)

// faultOf returns the fault in a template that an error describes.
func faultOf(source, message string) *templateFault {
	found := faultAt.FindStringSubmatch(message)
	if found == nil {
		return &templateFault{Text: sentence(capital(message))}
	}
	fault := &templateFault{Text: sentence(found[4])}
	fault.Line, _ = strconv.Atoi(found[2]) // digits
	lines := strings.Split(source, "\n")
	if fault.Line < 1 || fault.Line > len(lines) {
		fault.Line = 0
		return fault
	}
	text := lines[fault.Line-1]
	fault.Source = fmt.Sprintf("%d | %s", fault.Line, text)
	if column, err := strconv.Atoi(found[3]); err == nil && column <= len(text) {
		fault.Column = len([]rune(text[:column])) + 1
		fault.Source += "\n" + strings.Repeat(" ", len(strconv.Itoa(fault.Line))+2+fault.Column) + "^"
	}
	return fault
}

// yamlOf returns the YAML to copy into the configuration.
func yamlOf(receiver string, maxSegments int, text string) string {
	type entry struct {
		Name        string    `yaml:"name"`
		MaxSegments int       `yaml:"max_segments"`
		Text        yaml.Node `yaml:"text"`
	}
	for _, style := range []yaml.Style{yaml.LiteralStyle, yaml.DoubleQuotedStyle} {
		if style == yaml.LiteralStyle && !strings.Contains(text, "\n") {
			style = yaml.SingleQuotedStyle
		}
		var b strings.Builder
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		err := e.Encode(map[string][]entry{"receivers": {{receiver, maxSegments, yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: style}}}})
		var again struct{ Receivers []struct{ Text string } }
		if err == nil && yaml.Unmarshal([]byte(b.String()), &again) == nil && again.Receivers[0].Text == text { // some styles cannot represent all texts
			return b.String()
		}
	}
	return ""
}
