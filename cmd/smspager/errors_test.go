package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestErrorsSayWhatToDo: a mistake on the command line gets one line that says what to do, without a secret.
func TestErrorsSayWhatToDo(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	address, _, _ := strings.Cut(sim.URL, "/http/v1/")
	dir := t.TempDir()
	named := func(name, text string) string {
		name = filepath.Join(dir, name)
		writeFile(t, name, text)
		return name
	}
	token := named("api.token", "s3cret-0123456789-token\n")
	bare := named("bare.yml", "authorization: {credentials_file: nope.token}\n")
	plain := named("plain.yml", "basic_auth_users: {alice: s3cret}\n")
	wrong := configFile(t, sim, oneReceiver)
	text, err := os.ReadFile(wrong)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, wrong, strings.Replace(string(text), "password: ", "password: s3cret-", 1))

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a folder as configuration": {[]string{"check-config", dir}, "is a directory; name a file in that folder, such as " + filepath.Join(dir, "smspager.yml")},
		"a calendar nowhere":        {[]string{"check-config", configFile(t, sim, oneReceiver+"rotas: [{name: r, calendar: nope.ics}]\n")}, "nope.ics: no such file or directory; create the file, or correct its name"},
		"a folder as calendar":      {[]string{"check-config", configFile(t, sim, oneReceiver+"rotas: [{name: r, calendar: "+dir+"}]\n")}, "is a directory; name a file in that folder"},
		"a folder of templates":     {[]string{"check-config", configFile(t, sim, oneReceiver+"templates: ["+dir+"]\n")}, dir + " is a folder; name its files, such as " + filepath.Join(dir, "*.tmpl")},
		"an unknown field":          {[]string{"check-config", configFile(t, sim, strings.Replace(oneReceiver, "limits", "text: '{{ .Nope }}', limits", 1))}, "docs/templates.md lists fields and functions"},
		"no scheme":                 {[]string{"health", "--url=localhost:9879"}, "--url must be a URL such as http://127.0.0.1:9879"},
		"another program's port":    {[]string{"health", "--url=" + address}, "is --url the address of smspager serve?"},
		"another program's API":     {[]string{"pages", "--url=" + address}, "is --url the address of smspager serve?"},
		"a folder as login":         {[]string{"pages", "--http.config.file=" + dir}, "is a directory; name a file in that folder"},
		"a configuration as login":  {[]string{"pages", "--http.config.file=" + file}, "field textinghouse not found"},
		"a token as login":          {[]string{"pages", "--http.config.file=" + token}, "a login is like authorization: {credentials_file: api.token}"},
		"a login without its token": {[]string{"pages", "--url=" + sim.URL, "--http.config.file=" + bare}, "nope.token: no such file or directory; names in it begin at its folder"},
		"a wrong password":          {[]string{"credit", "-c", wrong}, "error 101: authentication failure: invalid username, password or IP address; check textinghouse.user and its password"},
		"the same for send":         {[]string{"send", "-c", wrong, "--to=999", "x"}, "the IP lock in the portal (Options)"},
		"the same for status":       {[]string{"status", "-c", wrong, "x"}, "the IP lock in the portal (Options)"},
		"an empty argument":         {[]string{"ack", ""}, "argument 'code' is empty; see smspager ack --help"},
		"a wrong flag":              {[]string{"send", "--nope"}, "see smspager send --help"},
		"a plain web password":      {[]string{"serve", "-c", file, "--web.config.file=" + plain}, "plain.yml: crypto/bcrypt: hashedSecret too short to be a bcrypted password; see"},
		"a token as web config":     {[]string{"serve", "-c", file, "--web.config.file=" + token}, "cannot unmarshal !!str; see"},
		"no port":                   {[]string{"serve", "-c", file, "--web.listen-address=9879"}, "missing port in address; write it like :9879"},
		"an empty address":          {[]string{"serve", "-c", file, "--web.listen-address="}, "--web.listen-address: empty; write it like :9879"},
		"a port in use":             {[]string{"simulate", "--listen=" + strings.TrimPrefix(address, "http://")}, "stop the program that listens there, or choose another port"},
		"an external host":          {[]string{"serve", "-c", file, "--web.listen-address=127.0.0.1:0", "--web.external-url=ops.example.com"}, "the external URL must be like https://ops.example.com/smspager"},
		"an external login":         {[]string{"serve", "-c", file, "--web.listen-address=127.0.0.1:0", "--web.external-url=https://a:s3cret@ops.example.com"}, "the external URL must be like https://ops.example.com/smspager"},
		"a callback without scheme": {[]string{"simulate", "--receipts=localhost:9879/x"}, "--receipts must be a URL such as http://127.0.0.1:9879/textinghouse/TOKEN/dlr"},
		"a backup in no folder":     {[]string{"backup", "-c", configFile(t, sim, oneReceiver+"storage: {sqlite: "+named("empty.db", "")+"}\n"), filepath.Join(dir, "no", "x.db")}, "make the folder first, or name another file"},
		"a configuration nowhere":   {[]string{"init", "--user=acme", "--to=+33639980001", filepath.Join(dir, "no", "x.yml")}, "make the folder " + filepath.Join(dir, "no") + " first"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := smspager(t, "", c.args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			if c.args[0] == "check-config" { // warnings follow
				last = lines[0]
			}
			if code == 0 || !strings.Contains(last, c.want) || !strings.HasPrefix(last, "smspager: ") && c.args[0] != "check-config" {
				t.Errorf("%v exits with %d, want %q:\n%s", c.args, code, c.want, stderr)
			}
			if strings.Contains(stderr, "s3c") {
				t.Errorf("%v shows a secret: %s", c.args, stderr)
			}
		})
	}
}

// TestInitLeavesNothingBehind: if init fails, it can be run again.
func TestInitLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", 300)+".yml") // no file system takes such a name
	if code, _, stderr := smspager(t, "", "init", "--user=acme", "--to=+33639980001", long); code != 1 {
		t.Fatalf("init exits with %d: %s", code, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("init leaves %v", left)
	}
}

// TestDash: "-" alone is the text on standard input, and among other words it is itself.
func TestDash(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	file := configFile(t, sim, oneReceiver)
	for _, c := range []struct{ text, want string }{{"-", "from a pipe"}, {"a - b", "a - b"}} {
		if code, _, stderr := smspager(t, "from a pipe\n", "send", "-c", file, "--to=999", c.text); code != 0 {
			t.Fatalf("send exits with %d: %s", code, stderr)
		}
		sent := sim.Messages()
		if got := sent[len(sent)-1].Text; got != c.want {
			t.Errorf("send %q sends %q", c.text, got)
		}
	}
	words, err := console{in: strings.NewReader("x")}.words([]string{"disk", stdinArgument, "full"})
	if err != nil || words != "disk - full" {
		t.Errorf("the words are %q, %v", words, err)
	}
}

// TestWithin: somebody who stops the waiting does not read that its time is over.
func TestWithin(t *testing.T) {
	over, end := context.WithTimeout(t.Context(), 0)
	defer end()
	stopped, stop := context.WithTimeout(t.Context(), time.Minute)
	stop()
	if got, want := within(over, time.Minute)+", "+within(stopped, time.Minute), "within 1m0s, yet"; got != want {
		t.Errorf("the commands say %q, want %q", got, want)
	}
}

// TestCheckConfigFiles: check-config takes files as arguments, and by -c as the other commands do. A file that is no
// outbox is reported.
func TestCheckConfigFiles(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	text := filepath.Join(t.TempDir(), "text.db")
	writeFile(t, text, "not a database, and long enough to have a header\n")
	a, b := configFile(t, sim, oneReceiver), configFile(t, sim, oneReceiver+"storage: {sqlite: "+text+"}\n")
	code, out, stderr := smspager(t, "", "check-config", a, "-c", b)
	if code != 0 || !strings.Contains(out, a+": valid") || !strings.Contains(out, b+": valid") {
		t.Errorf("check-config exits with %d: %s%s", code, out, stderr)
	}
	if want := b + ": warning: storage.sqlite: " + text + " is not an outbox, so pages would be sent without being stored; name another file"; !strings.Contains(stderr, want) {
		t.Errorf("check-config warns: %s", stderr)
	}
	t.Chdir(filepath.Dir(a))
	if code, out, stderr := smspager(t, "", "check-config"); code != 0 || !strings.HasPrefix(out, "smspager.yml: valid") {
		t.Errorf("check-config without a file exits with %d: %s%s", code, out, stderr)
	}
}
