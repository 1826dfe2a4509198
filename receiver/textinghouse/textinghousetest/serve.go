package textinghousetest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/templating/gsm7"
)

// stopMention must end a commercial text (seed, 4.3).
const stopMention = "STOP sms-s.top"

// ServeHTTP responds to a request as the provider does.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, ok := parameters(r)
	if !ok {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	fault := s.takeFault(params["cmd"], false)
	if fault != nil && !s.misbehaveBefore(w, r, fault) {
		return
	}
	response := s.respond(r, params, fault)
	if fault != nil && !s.misbehaveAfter(w, r, fault) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, response)
}

// parameters reads a query, a form or a JSON object.
func parameters(r *http.Request) (map[string]string, bool) {
	values := r.URL.Query()
	params := make(map[string]string)
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
		if err != nil {
			return nil, false
		}
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
			var fields map[string]any
			if json.Unmarshal(body, &fields) != nil {
				return nil, false
			}
			for name, value := range fields {
				params[name] = fmt.Sprint(value)
			}
		} else if values, err = url.ParseQuery(string(body)); err != nil {
			return nil, false
		}
	} else if r.Method != http.MethodGet {
		return nil, false
	}
	for name, given := range values {
		params[name] = given[0]
	}
	return params, true
}

// respond carries out a command and returns the response. fault is nil without one.
func (s *Simulator) respond(r *http.Request, p map[string]string, fault *Fault) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[p["user"]]
	if a != nil {
		a.requests[p["cmd"]]++
	}
	switch {
	case p["user"] == "" || p["pass"] == "" || p["cmd"] == "":
		return refuse(textinghouse.CodeMissingParameter)
	case a == nil || a.Password != p["pass"] || !a.admits(r.RemoteAddr):
		return refuse(textinghouse.CodeAuthentication)
	}
	switch p["cmd"] {
	case "sendsms":
		return s.send(a, p)
	case "getstatus":
		return s.status(a, p, fault)
	case "getcredit":
		return strconv.FormatFloat(a.Credit, 'f', -1, 64)
	}
	return refuse(textinghouse.CodeMissingParameter)
}

// refuse returns an ERR response.
func refuse(c textinghouse.Code) string {
	description := map[textinghouse.Code]string{
		textinghouse.CodeMissingParameter:   "Missing parameter",
		textinghouse.CodeAuthentication:     "Authentication failed",
		textinghouse.CodeInsufficientCredit: "Insufficient credit",
		textinghouse.CodeUnknownAPIID:       "Unknown api_id",
		textinghouse.CodeUnknownClientID:    "Unknown climsgid",
		textinghouse.CodeProcessing:         "Error processing request",
		textinghouse.CodeFlood:              "Stop flooding",
		textinghouse.CodeStopMissing:        "STOP mention missing",
	}[c]
	return fmt.Sprintf("ERR: %d | %s", int(c), description)
}

func (a *account) admits(remote string) bool {
	if len(a.Networks) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(remote)
	return err == nil && slices.ContainsFunc(a.Networks, func(n netip.Prefix) bool { return n.Contains(from.Addr().Unmap()) })
}

// send accepts a message, or refuses it. s.mu is held.
func (s *Simulator) send(a *account, p map[string]string) string {
	now := time.Now()
	to, text, clientID, commercial := p["to"], p["txt"], p["climsgid"], p["iscom"] == "Y"
	key := flood{to, text}
	switch {
	case to == "" || text == "" || p["iscom"] != "Y" && p["iscom"] != "N" || len([]rune(clientID)) > 32:
		return refuse(textinghouse.CodeMissingParameter)
	case to != "999" && (len(to) < 7 || len(to) > 15 || strings.Trim(to, "0123456789") != ""):
		return refuse(textinghouse.CodeProcessing)
	case commercial && !strings.HasSuffix(strings.TrimSpace(text), stopMention):
		return refuse(textinghouse.CodeStopMissing)
	case now.Sub(a.floods[key]) < textinghouse.FloodWindow:
		return refuse(textinghouse.CodeFlood)
	}
	segments := gsm7.Measure(text).Segments
	if price := float64(segments); to != "999" {
		if a.Credit < price {
			return refuse(textinghouse.CodeInsufficientCredit)
		}
		a.Credit -= price
	}
	if len(a.floods) > 10_000 {
		for k, at := range a.floods {
			if now.Sub(at) >= textinghouse.FloodWindow {
				delete(a.floods, k)
			}
		}
	}
	a.floods[key] = now
	m := &message{account: a, SMS: SMS{
		APIID: apiID(s.options.FirstID + len(s.messages) + 1), ClientID: clientID, To: to, Text: text, Segments: segments, Commercial: commercial,
		At: now, Statuses: []textinghouse.Status{textinghouse.StatusProcessing},
	}}
	if from := p["from"]; from != "" && slices.Contains(a.Senders, from) {
		m.From = from
	}
	s.messages = append(s.messages, m)
	s.byAPIID[m.APIID] = m
	if clientID != "" {
		a.byClientID[clientID] = m
	}
	s.begin(m, now)
	s.notify()
	return "ID:" + m.APIID
}

// status returns the response to getstatus. s.mu is held.
func (s *Simulator) status(a *account, p map[string]string, fault *Fault) string {
	var m *message
	unknown := textinghouse.CodeUnknownAPIID
	switch {
	case p["api_id"] != "":
		if m = s.byAPIID[p["api_id"]]; m != nil && m.account != a {
			m = nil
		}
	case p["climsgid"] != "":
		m, unknown = a.byClientID[p["climsgid"]], textinghouse.CodeUnknownClientID
	default:
		return refuse(textinghouse.CodeMissingParameter)
	}
	switch {
	case m == nil, fault != nil && fault.Kind == Lag && time.Since(m.At) < fault.Delay:
		return refuse(unknown)
	case fault != nil && fault.Kind == OtherStatus:
		return strconv.Itoa(fault.N)
	}
	return strconv.Itoa(int(m.Status()))
}
