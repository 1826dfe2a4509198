package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

// TestNextCommands: a command that smspager proposes works as printed, with the flags of the call and the login
// that init wrote.
func TestNextCommands(t *testing.T) {
	sim := textinghousetest.NewServer(textinghousetest.Options{})
	defer sim.Close()
	account := sim.ClientOptions()
	dir := t.TempDir()
	file := filepath.Join(dir, "smspager.yml")
	if code, _, stderr := smspager(t, "", "init", "--user="+account.User, "--to=+33639980001", file); code != 0 {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, strings.Replace(string(text), "\n  user:", "\n  endpoints: [\""+sim.URL+"\"]\n  user:", 1))
	writeFile(t, filepath.Join(dir, "textinghouse.password"), account.Password+"\n")
	p := serveProcess(t, file)
	login := filepath.Join(dir, "login.yml")

	proposed := regexp.MustCompile(`smspager ((?:verify|status|page)[^\n]*)\n`)
	follow := func(want int, args ...string) {
		t.Helper()
		code, out, stderr := smspager(t, "", args...)
		if code != 0 {
			t.Errorf("%v exits with %d: %s", args, code, stderr)
		}
		found := proposed.FindStringSubmatch(out)
		if found == nil {
			t.Errorf("%v proposes no command: %s", args, out)
			return
		}
		next := strings.Fields(found[1])
		if next[0] == "verify" { // nobody replies
			next = append(next, "--wait.timeout=1ms")
		}
		if code, out, stderr := smspager(t, "", next...); code != want {
			t.Errorf("%v proposes %v, which exits with %d: %s%s", args, next, code, out, stderr)
		}
	}
	follow(exitOpen, "verify", "--url="+p.url, "--http.config.file="+login, "alice")
	follow(0, "page-now", "--url="+p.url, "--http.config.file="+login, "oncall", "a drill")
	code, out, _ := smspager(t, "", "send", "-c", file, "--to=999", "a test")
	if next := proposed.FindStringSubmatch(out); code != 0 || next == nil {
		t.Errorf("send exits with %d: %s", code, out)
	} else if code, _, stderr := smspager(t, "", strings.Fields(next[1])...); code != 0 && code != exitOpen {
		t.Errorf("%v exits with %d: %s", next[1], code, stderr)
	}
	t.Setenv("SMSPAGER_URL", p.url)
	follow(0, "check-config", file)

	writeFile(t, file+".other", "authorization: {credentials: wrong}\n")
	twice := []string{"send", "-c", file, "--to=999", "twice"}
	_, _, _ = smspager(t, "", twice...)
	if code, _, stderr := smspager(t, "", twice...); code != 1 || !strings.Contains(stderr, "wait for 10 seconds") {
		t.Errorf("the second smspager send exits with %d: %s", code, stderr)
	}
	for args, want := range map[string]string{
		"verify alice": "--http.config.file=FILE",
		"verify alice --http.config.file=" + file + ".other":      "does not accept the login",
		"pages --url=http://127.0.0.1:1":                          "smspager serve does not respond at http://127.0.0.1:1 (--url)",
		"health --url=http://127.0.0.1:1":                         "smspager serve does not respond at http://127.0.0.1:1 (--url)",
		"send -c " + filepath.Join(dir, "no.yml") + " --to=999 x": "smspager init",
	} {
		if code, _, stderr := smspager(t, "", strings.Fields(args)...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("smspager %s exits with %d: %s", args, code, stderr)
		}
	}
}
