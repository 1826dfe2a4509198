package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/internal/testwait"
	"github.com/smspager/smspager/receiver/textinghouse"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

func TestDemo(t *testing.T) {
	code, out, stderr := smspager(t, "", "demo")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"CRITICAL KubePodCrashLooping prod-eu-1", "RESOLVED KubePodCrashLooping", "154 of 160 septets", "delivered 3 received, by callback", "smspager send -c smspager.yml --to=999"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
	if strings.Count(out, "delivered 3 received") != 2 {
		t.Errorf("not both messages are delivered:\n%s", out)
	}
}

func TestEverySubcommandHasHelpWithAnExample(t *testing.T) {
	for _, name := range []string{"serve", "demo", "check-config", "preview", "send", "status", "credit", "simulate", "health", "backup", "who", "pages", "page", "verify"} {
		code, out, stderr := smspager(t, "", name, "--help")
		if code != 0 || strings.Count(out, "Example: smspager "+name) != 1 {
			t.Errorf("%s --help exits with %d: %s%s", name, code, out, stderr)
		}
	}
	if code, out, _ := smspager(t, "", "--version"); code != 0 || !strings.Contains(out, "smspager, version") {
		t.Errorf("--version exits with %d: %s", code, out)
	}
	if out, err := command("--help-man").Output(); err != nil || !regexp.MustCompile(`^\.TH smspager 1 \S+ ""\n\.SH`).Match(out) { // on kingpin's own stdout
		t.Errorf("the manual begins with %.100q, %v", out, err)
	}
	for _, args := range [][]string{{"nope"}, {"serve", "--nope"}, {"send", "--to=999"}} {
		if code, _, stderr := smspager(t, "", args...); code != 2 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, " --help") {
			t.Errorf("%v exits with %d: %s", args, code, stderr)
		}
	}
}

func TestSendStatusCredit(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{StatusDelay: 20 * time.Millisecond})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	sim.Outcome("+33612345679", textinghouse.StatusNotReceived)

	code, out, stderr := smspager(t, "", "send", "-c", file, "--to=999", "--wait", "température ≥ 75 °C")
	if code != 0 || !strings.HasPrefix(out, "received: id ") || sim.Messages()[0].Text != "température >= 75 degC" {
		t.Errorf("send exits with %d: %s%s; sent %q", code, out, stderr, sim.Messages()[0].Text)
	}
	code, out, _ = smspager(t, "", "send", "-c", file, "--to=+33612345679", "--wait", "--output=json", "x")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitNotDelivered || *r.Status != 6 || !r.Final || r.Segments != 1 {
		t.Errorf("send of an undelivered message exits with %d: %s", code, out)
	}
	for id, want := range map[string]string{r.APIID: "6 not received\n", r.ID: "6 not received\n"} {
		if code, out, _ := smspager(t, "", "status", "-c", file, id); code != exitNotDelivered || out != want {
			t.Errorf("status %s exits with %d: %s", id, code, out)
		}
	}
	if code, _, stderr := smspager(t, "", "status", "-c", file, "nope"); code != 1 || !strings.Contains(stderr, "knows no message with the api_id or climsgid nope") {
		t.Errorf("status of an unknown id exits with %d: %s", code, stderr)
	}
	if code, out, _ := smspager(t, "", "credit", "-c", file); code != 0 || out != "999999\n" {
		t.Errorf("credit exits with %d: %s", code, out)
	}
	if code, out, _ := smspager(t, "", "credit", "-c", file, "--output=json"); code != 0 || out != "{\"credit\":999999}\n" {
		t.Errorf("credit exits with %d: %s", code, out)
	}

	sim.Outcome("+33612345670", textinghousetest.Never)
	if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=+33612345670", "--wait", "--wait.timeout=100ms", "x"); code != exitOpen || !strings.Contains(stderr, "no final status within 100ms") {
		t.Errorf("send without a final status exits with %d: %s", code, stderr)
	}
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, Times: 1})
	if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=999", "y"); code != exitOpen || !strings.Contains(stderr, "it may have been sent; to find out: smspager status ") {
		t.Errorf("send in doubt exits with %d: %s", code, stderr)
	}
	sim.AddFault(textinghousetest.Fault{Kind: textinghousetest.Err, N: 101, Times: 1})
	if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=999", "z"); code != 1 || !strings.Contains(stderr, "authentication failure") {
		t.Errorf("a refused send exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=0612345678", "z"); code != 1 || !strings.Contains(stderr, "--to must be an E.164 number") {
		t.Errorf("send to a national number exits with %d: %s", code, stderr)
	}
}

func TestCheckConfig(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yml"), filepath.Join(dir, "bad.yml")
	writeFile(t, good, "textinghouse: {user: acme, password: x}\nreceivers: [{name: r, to: [\"999\"]}]\n")
	t.Setenv("ZONEINFO", good) // time zone data without a release
	writeFile(t, filepath.Join(dir, "bad.tmpl"), "{{ define \"x\" }}\n{{ end")
	writeFile(t, bad, "textinghouse: {user: acme, password: x}\ntemplates: [bad.tmpl]\nreceivers:\n  - name: r\n    max_segments: 0\n")
	code, out, stderr := smspager(t, "", "check-config", good, bad)
	want := bad + ":2:1: templates: " + filepath.Join(dir, "bad.tmpl") + ":2: unclosed action\n" +
		bad + ":4:5: receivers[0].to: no recipients: list contacts or numbers, or set to_label\n" +
		bad + ":5:5: receivers[0].max_segments: must be 1 to 10, is 0\n"
	if code != 1 || out != good+": valid, 1 receiver; time zones of release unknown ("+good+")\n" || stderr != want {
		t.Errorf("exits with %d: %s%s, want\n%s", code, out, stderr, want)
	}
	if code, out, _ := smspager(t, "", "check-config", "--output=json", bad); code != 1 || !strings.HasPrefix(out, `[{"file":`) {
		t.Errorf("exits with %d: %s", code, out)
	}
	writeFile(t, bad, "textinghouse: {user: acme, password: x}\nreceivers: [{name: r, to: [\"999\"], text: '{{ .Nope }}'}]\n")
	if code, _, stderr := smspager(t, "", "check-config", bad); code != 1 || !strings.Contains(stderr, ":2:36: receivers[0].text: fails on a sample notification") {
		t.Errorf("a template that fails on the samples exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "serve", "--config.file="+bad); code != 1 || !strings.Contains(stderr, "receivers[0].text") {
		t.Errorf("serve with a bad file exits with %d: %s", code, stderr)
	}
}

// TestPreviewWatches saves a template, breaks it and repairs it.
func TestPreviewWatches(t *testing.T) {
	dir := t.TempDir()
	file, tmpl := filepath.Join(dir, "smspager.yml"), filepath.Join(dir, "t.tmpl")
	writeFile(t, tmpl, `{{ define "mine" }}first {{ .Status }}{{ end }}`)
	writeFile(t, file, `
textinghouse: {user: acme, password: x}
templates: [t.tmpl]
receivers: [{name: sms, to: ["999"], text: '{{ template "mine" . }}'}]
`)
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"preview", "-c", file, "--watch"}, strings.NewReader(""), in, in)
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("%q is not shown", want)
	}
	expect("| first firing ")
	expect("waiting for a file")
	writeFile(t, tmpl, `{{ define "mine" }}{{ nope }}{{ end }}`)
	expect(`t.tmpl:1: function "nope" not defined`)
	expect("waiting for a file")
	writeFile(t, tmpl, `{{ define "mine" }}second one, {{ .Status }}{{ end }}`)
	expect("| second one, firing ")
	cancel()
	go io.Copy(io.Discard, out)
	if code := <-ended; code != 0 {
		t.Errorf("exits with %d", code)
	}
}

func TestPreview(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smspager.yml")
	writeFile(t, file, `
textinghouse: {user: acme, password: x}
receivers:
  - {name: sms, to: ["999"]}
  - {name: small, to: ["999"], max_segments: 1, send_resolved: false, text: '{{ .CommonLabels.alertname }}_{{ range .Alerts }}{{ .Annotations.description }} {{ end }}'}
`)
	code, out, stderr := smspager(t, "", "preview", "-c", file)
	if code != 0 || !strings.Contains(out, "| CRITICAL KubePodCrashLooping prod-eu-1:  |") || !strings.Contains(out, "segment 1 of 1: 1") || !strings.Contains(out, "captured from Alertmanager; name a file with yours, or -") || !strings.Contains(out, "Cost: 1 segment of the 2 allowed") {
		t.Errorf("exits with %d: %s%s", code, out, stderr)
	}
	code, out, _ = smspager(t, string(resolvedPayload), "preview", "-c", file, "--receiver=small", "-")
	for _, want := range []string{"send_resolved: false", "Receiver small", `"_" to "-" (1)`} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exits with %d, without %q: %s", code, want, out)
		}
	}
	code, out, _ = smspager(t, string(firingPayload), "preview", "-c", file, "--output=json", "--receiver=small", "-")
	var p struct {
		Receiver, Text string
		Septets        int
		MaxSegments    int `json:"max_segments"`
		Cut            bool
		Changes        []any
		Segments       []struct {
			Text          string
			Septets, Room int
		}
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || p.Receiver != "small" || len(p.Segments) != 1 || p.Cut || len(p.Changes) != 1 {
		t.Errorf("exits with %d: %s", code, out)
	}
	if len(p.Segments) != 1 || p.Segments[0].Septets != p.Septets || p.Segments[0].Room != 160 || p.MaxSegments != 1 || p.Segments[0].Text != p.Text {
		t.Errorf("the segments are %+v", p.Segments)
	}
	for args, want := range map[string]string{"no-such.json": "no such file", "-": "not a JSON object"} {
		if code, _, stderr := smspager(t, "x", "preview", "-c", file, args); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("preview %s exits with %d: %s", args, code, stderr)
		}
	}
	if code, _, stderr := smspager(t, "", "preview", "-c", file, "--receiver=nobody"); code != 1 || !strings.Contains(stderr, "known: sms, small") {
		t.Errorf("an unknown receiver exits with %d: %s", code, stderr)
	}
}

func TestSimulateIsAnEndpoint(t *testing.T) {
	cmd := command("simulate", "--listen=127.0.0.1:0", "--delay=0s", "--fault=err=300,times=1", "--outcome=+33612345678=6")
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	read := func(want string) string {
		t.Helper()
		var b []byte
		testwait.Until(t, func() (err error) {
			if b, err = os.ReadFile(out.Name()); err == nil && !strings.Contains(string(b), want) {
				err = fmt.Errorf("it prints %q, not %q", b, want)
			}
			return err
		})
		return string(b)
	}
	endpoint := strings.TrimSpace(strings.TrimPrefix(strings.SplitAfter(read("\n"), "\n")[0], "endpoint: "))
	file := filepath.Join(t.TempDir(), "smspager.yml")
	writeFile(t, file, "textinghouse: {user: acme, password: test, endpoints: [\""+endpoint+"\"]}\nreceivers: [{name: r, to: [\"999\"]}]\n")
	if code, _, stderr := smspager(t, "", "send", "-c", file, "--to=999", "x"); code != 1 || !strings.Contains(stderr, "error 300") {
		t.Errorf("the fault gives exit code %d: %s", code, stderr)
	}
	if code, out, stderr := smspager(t, "", "send", "-c", file, "--to=999", "--wait", "a test"); code != 0 {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	read("| a test ")
	if code, out, stderr := smspager(t, "", "send", "-c", file, "--to=+33612345678", "--wait", "another"); code != 3 || !strings.Contains(out+stderr, "not received") {
		t.Errorf("send of a message that expires exits with %d: %s%s", code, out, stderr)
	}
	if code, _, stderr := smspager(t, "", "simulate", "--outcome=6"); code != 1 || !strings.Contains(stderr, "such as +33612345678=6") {
		t.Errorf("an outcome without a number exits with %d: %s", code, stderr)
	}
	if code, _, stderr := smspager(t, "", "simulate", "--fault=explode"); code != 1 || !strings.Contains(stderr, "unknown kind; known: latency") {
		t.Errorf("an unknown fault exits with %d: %s", code, stderr)
	}
}

func TestHealth(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	p := serveProcess(t, configFile(t, sim, oneReceiver))
	if code, out, _ := smspager(t, "", "health", "--url="+p.url); code != 0 || !strings.Contains(out, "smspager is ready.") {
		t.Errorf("health of a base URL exits with %d: %s", code, out)
	}
	t.Setenv("SMSPAGER_URL", p.url)
	if code, out, _ := smspager(t, "", "health"); code != 0 || !strings.Contains(out, "smspager is ready.") {
		t.Errorf("health with SMSPAGER_URL exits with %d: %s", code, out)
	}
	if code, out, _ := smspager(t, "", "health", "--url="+p.url+"/prefix"); code != 1 {
		t.Errorf("health asks elsewhere than under the prefix, and exits with %d: %s", code, out)
	}
	if code, _, stderr := smspager(t, "", "pages", "--url="+p.url+"/prefix"); code != 1 || !strings.Contains(stderr, "does the URL lack the path of --web.external-url or --web.route-prefix?") {
		t.Errorf("pages under a wrong prefix exits with %d: %s", code, stderr)
	}
	if code, out, _ := smspager(t, "", "health", "--url="+p.url+"/-/ready"); code != 0 || !strings.Contains(out, "smspager is ready.") {
		t.Errorf("exits with %d: %s", code, out)
	}
	for _, url := range []string{p.url + "/nope", "http://127.0.0.1:1/"} {
		if code, _, _ := smspager(t, "", "health", "--url="+url); code != 1 {
			t.Errorf("%s exits with %d", url, code)
		}
	}
}
